//! Calls to providers: their limits, and what a failed one means.
//!
//! Must not know: what is asked.

use crate::outgoing::{Answered, Limits, Outgoing, Trouble};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use poem::http::Request;
use reqwest::Url;
use std::time::Duration;
use tiris_store::error::{Error, Result, SignInProblem};

/// Signing in makes two calls at most, and a request may take 15 s by default.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(5),
    bytes: 256 * 1024,
};

/// Asks and reads the answer; `provider` is its name in errors.
async fn call(
    http: &Outgoing,
    provider: &'static str,
    request: Request<Bytes>,
) -> Result<Answered> {
    let unavailable = |source| Error::Unavailable {
        what: provider,
        source,
    };
    let sent = http.send(request, LIMITS).await;
    let answered = sent.map_err(|trouble| match trouble {
        Trouble::TimedOut => Error::UpstreamTimeout(provider),
        Trouble::TooLong(limit) => {
            let why = format!("{provider} answers more than {limit} bytes");
            Error::sign_in(SignInProblem::Provider, why)
        }
        Trouble::Network(_) => unavailable(trouble.into()),
    })?;

    if answered.status.is_server_error() {
        let why = format!("it answers {}", answered.status);
        return Err(unavailable(why.into()));
    }
    Ok(answered)
}

/// Asks for a URL.
pub(super) async fn get(http: &Outgoing, provider: &'static str, url: &Url) -> Result<Answered> {
    let request = Request::get(url.as_str())
        .body(Bytes::new())
        .map_err(|error| Error::Internal(error.into()))?;
    call(http, provider, request).await
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
            let answered = call(self.http, self.provider, request.map(Bytes::from)).await?;
            let mut response = HttpResponse::new(answered.body.into());
            *response.status_mut() = answered.status;
            Ok(response)
        }
        .boxed()
    }
}
