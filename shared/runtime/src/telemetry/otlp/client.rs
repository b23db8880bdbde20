//! The HTTP client of the exporter: reqwest with the TLS settings of all outgoing calls.

use crate::tls;
use anyhow::Result;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Spans are dropped when the collector takes longer.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The exporter's own thread is outside the runtime.
    runtime: Handle,
    is_failing: AtomicBool,
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
            is_failing: AtomicBool::new(false),
        })
    }

    /// Logs the first failure, and the recovery after it.
    fn log_change(&self, failure: Option<String>) {
        let was_failing = self.is_failing.swap(failure.is_some(), Ordering::AcqRel);
        match failure {
            Some(why) if !was_failing => {
                tracing::warn!(%why, "traces are lost: the collector does not accept them")
            }
            None if was_failing => tracing::info!("the collector accepts traces again"),
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
        self.log_change(match &sent {
            Ok((status, _, _)) if status.is_success() => None,
            Ok((status, _, _)) => Some(format!("it returned {status}")),
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
    async fn an_error_hides_the_password_of_the_collector() {
        let client = Client::new().expect("a client");
        let request = Request::post("http://ann:hunter2@127.0.0.1:9/v1/traces?api-key=hunter3");
        let request = request.body(Bytes::new()).expect("a request");
        let error = client
            .send_bytes(request)
            .await
            .expect_err("connection refused");
        let shown = format!("{error:?} {}", crate::explain(&*error));
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
