//! HTTP to an exchange: no redirects, bounded time and size.
//!
//! hyper itself and not reqwest, which would follow redirects unless told otherwise and takes the TLS provider of the
//! process, without which it panics. The provider and the roots are named here.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use poem::http::{HeaderValue, Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// Longest answer that is read: an account with thousands of assets stays below it.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is sent.
pub(super) type Body = Full<Bytes>;

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub(super) enum Trouble {
    TimedOut,
    Network(String),
}

/// Sends requests.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    limit: Duration,
}

impl Http {
    /// A client whose requests end within `limit`.
    pub(super) fn new(limit: Duration) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
            // Production asks for https in the settings; a test asks a stub.
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), limit })
    }

    /// Sends a request once.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Answered, Trouble> {
        let agent = HeaderValue::from_static(concat!("tiris-api/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let exchange = async {
            let response =
                self.client.request(request).await.map_err(|error| Trouble::Network(explain(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => Trouble::Network(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")),
                None => Trouble::Network(explain(error.as_ref())),
            })?;
            Ok(Answered { status, body: body.to_bytes() })
        };
        timeout(self.limit, exchange).await.unwrap_or(Err(Trouble::TimedOut))
    }
}

/// A secret as a header that is never shown.
pub(super) fn secret_header(secret: &SecretString) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose_secret())?;
    value.set_sensitive(true);
    Ok(value)
}

fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_https_address_is_spoken_to_in_tls_and_nothing_else_is_believed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/api", listener.local_addr().expect("an address"));
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.expect("bytes");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("sent");
            hello
        };
        let http = Http::new(Duration::from_secs(5)).expect("a client");
        let request = Request::get(url).body(Body::default()).expect("a request");
        let (answer, hello) = tokio::join!(http.send(request), server);
        assert_eq!(hello[..2], [0x16, 3], "a handshake of TLS");
        assert!(matches!(answer, Err(Trouble::Network(_))), "{answer:?}");
    }
}
