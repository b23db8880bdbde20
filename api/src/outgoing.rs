//! Calls to other services over HTTPS, bounded in time and length and never redirected.

use anyhow::Context;
use bytes::Bytes;
use poem::http::{Request, StatusCode};
use reqwest::{Client, redirect};
use std::time::Duration;
use tiris_runtime::tls;

/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The HTTP client; cloning is cheap.
#[derive(Clone)]
pub(crate) struct Outgoing(Client);

/// The limits of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From connecting to the last byte.
    pub(crate) time: Duration,
    /// Longest body that is read, in bytes.
    pub(crate) bytes: usize,
}

/// The response to a call.
#[derive(Clone, Debug)]
pub(crate) struct CallResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why a call has no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the call failed")]
    Network(#[source] reqwest::Error),
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        // The URL can hold a secret: WeChat requires it there.
        if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Network(error.without_url())
        }
    }
}

impl Outgoing {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::outgoing()?)
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect could lead into our own network.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tiris-api/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot build the client for exchanges and identity providers")?;
        Ok(Self(client))
    }

    /// Sends a request once and reads the response.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<CallResponse, CallError> {
        let mut request = reqwest::Request::try_from(request)?;
        *request.timeout_mut() = Some(limits.time);
        let mut response = self.0.execute(request).await?;
        let status = response.status();

        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > limits.bytes {
                return Err(CallError::TooLong(limits.bytes));
            }
            body.extend_from_slice(&chunk);
        }

        let body = body.into();
        Ok(CallResponse { status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_https_url_is_called_over_tls_only() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/api", listener.local_addr().expect("an address"));
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.expect("bytes");
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .await
                .expect("sent");
            hello
        };

        let http = Outgoing::new().expect("a client");
        let request = Request::get(url).body(Bytes::new()).expect("a request");
        let limits = Limits {
            time: Duration::from_secs(5),
            bytes: 100,
        };
        let (response, hello) = tokio::join!(http.send(request, limits), server);

        assert_eq!(hello[..2], [0x16, 3], "a TLS handshake");
        assert!(
            matches!(response, Err(CallError::Network(_))),
            "{response:?}"
        );
    }
}
