//! Calls to providers: bounded in time and length, never redirected.
//!
//! Owns: the client and its limits, and what a failed call means. Must not know: what is asked.

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, Request, StatusCode, redirect};
use std::time::Duration;
use tiris_shared::error::{Error, Result, SignInProblem};

/// How long a call may take; signing in makes two at most, and a request may take 15 s by default.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A client for the calls; cloning is cheap.
#[derive(Clone)]
pub(super) struct Outgoing(Client);

impl Outgoing {
    pub(super) fn new() -> anyhow::Result<Self> {
        tiris_shared::tls::choose_provider();
        let client = Client::builder()
            .timeout(CALL_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // What a provider answers must not lead us elsewhere, into our own network for one.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tiris-api/", env!("CARGO_PKG_VERSION")))
            .build()
            .context(
                "cannot make the client that asks identity providers (are CA certificates installed?)",
            )?;
        Ok(Self(client))
    }

    /// Asks and reads the answer; `provider` is its name in errors.
    pub(super) async fn call(
        &self,
        provider: &'static str,
        request: Request,
    ) -> Result<(StatusCode, Vec<u8>)> {
        let fail = |error: reqwest::Error| -> Error {
            if error.is_timeout() {
                return Error::UpstreamTimeout(provider);
            }
            // The address can hold a secret, as WeChat wants it there.
            Error::Unavailable { what: provider, source: error.without_url().into() }
        };
        let mut response = self.0.execute(request).await.map_err(fail)?;
        let status = response.status();
        if status.is_server_error() {
            return Err(Error::Unavailable { what: provider, source: format!("it answers {status}").into() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fail)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let why = format!("{provider} answers more than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::sign_in(SignInProblem::Provider, why));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }

    /// Asks for a URL.
    pub(super) async fn get(
        &self,
        provider: &'static str,
        url: reqwest::Url,
    ) -> Result<(StatusCode, Vec<u8>)> {
        self.call(provider, Request::new(reqwest::Method::GET, url)).await
    }
}

/// The same for the crate that speaks OAuth.
pub(super) struct ForOAuth<'a> {
    pub(super) provider: &'static str,
    pub(super) http: &'a Outgoing,
}

// A type of its own: of a closure the compiler cannot prove that its future may change threads.
impl<'c> AsyncHttpClient<'c> for ForOAuth<'_> {
    type Error = Error;
    type Future = BoxFuture<'c, Result<HttpResponse>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        async move {
            let request = Request::try_from(request).map_err(|error| Error::Internal(error.into()))?;
            let (status, body) = self.http.call(self.provider, request).await?;
            let mut response = HttpResponse::new(body);
            *response.status_mut() = status;
            Ok(response)
        }
        .boxed()
    }
}
