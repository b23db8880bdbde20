//! The HTTP client that spans are sent by: the one we have everywhere, with its one TLS.

use crate::tls;
use anyhow::Result;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Spans that take longer to be taken are dropped.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The exporter has a thread of its own, on which nothing of the runtime works.
    runtime: Handle,
    is_in_trouble: AtomicBool,
}

impl Client {
    pub(super) fn new() -> Result<Self> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::outgoing()?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build()?;

        Ok(Self {
            http,
            runtime: Handle::current(),
            is_in_trouble: AtomicBool::new(false),
        })
    }

    /// Tells of trouble once, until it is over.
    fn note(&self, trouble: Option<String>) {
        let was = self.is_in_trouble.swap(trouble.is_some(), Ordering::AcqRel);
        match trouble {
            Some(why) if !was => {
                tracing::warn!(%why, "traces are lost: the collector does not take them")
            }
            None if was => tracing::info!("the collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sent = self.runtime.spawn(async move {
            let answer = http.execute(request.try_into()?).await?;
            let status = answer.status();
            let headers = answer.headers().clone();
            Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
        });

        // The address may hold a password.
        let sent = sent.await?.map_err(reqwest::Error::without_url);
        self.note(match &sent {
            Ok((status, _, _)) if status.is_success() => None,
            Ok((status, _, _)) => Some(format!("it answers {status}")),
            Err(error) => Some(crate::explain(error)),
        });

        let (status, headers, body) = sent?;
        let mut response = Response::builder().status(status).body(body)?;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_collector_that_cannot_be_reached_is_not_told_with_its_password() {
        let client = Client::new().expect("a client");
        let request = Request::post("http://ann:hunter2@127.0.0.1:9/v1/traces?api-key=hunter3");
        let request = request.body(Bytes::new()).expect("a request");
        let error = client
            .send_bytes(request)
            .await
            .expect_err("nobody listens there");
        let told = format!("{error:?} {}", crate::explain(&*error));
        assert!(!told.contains("hunter"), "{told}");
    }
}
