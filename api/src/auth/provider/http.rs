//! Calls to identity providers: their limits and their errors.

use super::refused;
use crate::outgoing::{CallError, CallResponse, Limits, Outgoing};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use poem::http::Request;
use reqwest::Url;
use std::time::Duration;
use tiris_store::error::{Error, Result, Source};

/// A sign-in makes at most two calls, and a request may take 15 s by default.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(5),
    bytes: 256 * 1024,
};

/// The HTTP client of a provider.
#[derive(Clone)]
pub(super) struct ProviderHttp {
    /// The name of the provider in errors.
    pub(super) provider: &'static str,
    pub(super) outgoing: Outgoing,
}

impl ProviderHttp {
    /// Sends a GET.
    pub(super) async fn get(&self, url: &Url) -> Result<CallResponse> {
        let request = Request::get(url.as_str())
            .body(Bytes::new())
            .map_err(|error| Error::Internal(error.into()))?;
        self.send(request).await
    }

    async fn send(&self, request: Request<Bytes>) -> Result<CallResponse> {
        match self.outgoing.send(request, LIMITS).await {
            Ok(response) if response.status.is_server_error() => {
                Err(self.unavailable(format!("it returns {}", response.status)))
            }
            Ok(response) => Ok(response),
            Err(CallError::TimedOut) => Err(Error::UpstreamTimeout(self.provider)),
            Err(CallError::TooLong(limit)) => {
                let provider = self.provider;
                Err(refused(format!(
                    "{provider} returns more than {limit} bytes"
                )))
            }
            Err(error @ CallError::Network(_)) => Err(self.unavailable(error)),
        }
    }

    pub(super) fn unavailable(&self, source: impl Into<Source>) -> Error {
        Error::Unavailable {
            what: self.provider,
            source: source.into(),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderHttp {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        async move {
            let received = self.send(request.map(Bytes::from)).await?;
            let mut response = HttpResponse::new(received.body.into());
            *response.status_mut() = received.status;
            Ok(response)
        }
        .boxed()
    }
}
