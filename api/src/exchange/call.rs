//! Calls to an exchange: their limits, their retries, and the possible meanings of a response.

use crate::outgoing::{CallError, CallResponse, Limits, Outgoing};
use bytes::Bytes;
use poem::http::{HeaderValue, Request};
use secrecy::{ExposeSecret, SecretString};
use std::fmt::Display;
use std::time::Duration;
use tiris_domain::states::ExchangeType;
use tokio::time::sleep;

/// Longest accepted response: an account with thousands of assets stays below it.
const RESPONSE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Maximum number of attempts at a call while the network or the exchange fails.
const ATTEMPTS_MAX: u32 = 3;
/// The first wait between two attempts; it doubles with each one.
const BACKOFF: Duration = Duration::from_millis(200);

/// An API key with its secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiKey<'a> {
    pub(crate) key: &'a SecretString,
    pub(crate) secret: &'a SecretString,
}

/// The verdict of an exchange on an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    /// Holds the code of the exchange.
    Refused(String),
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("credentials of {0} cannot be verified: only those of binance, kraken and gate can")]
    Unsupported(ExchangeType),
    /// The exchange cannot be reached, or its response says nothing about the key.
    #[error("{0}")]
    Unreachable(String),
    #[error("the exchange did not answer in time")]
    TimedOut,
}

impl ExchangeError {
    pub(super) fn unreachable(why: impl Display) -> Self {
        Self::Unreachable(why.to_string())
    }
}

/// The meaning of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Verdict(Verdict),
    /// The exchange refuses the time or the nonce of the call.
    WrongTime,
    /// The response says nothing about the key; holds the reason.
    Nothing(String),
}

impl Meaning {
    pub(super) const VALID: Self = Self::Verdict(Verdict::Valid);

    pub(super) fn refused(code: impl Display) -> Self {
        Self::Verdict(Verdict::Refused(code.to_string()))
    }

    fn verdict(self) -> Result<Verdict, ExchangeError> {
        match self {
            Self::Verdict(verdict) => Ok(verdict),
            Self::WrongTime => Err(ExchangeError::unreachable(
                "the exchange refuses the time or the nonce of the call: another program may use the key with a larger nonce",
            )),
            Self::Nothing(why) => Err(ExchangeError::Unreachable(why)),
        }
    }
}

pub(super) struct ExchangeHttp {
    outgoing: Outgoing,
    limits: Limits,
}

impl ExchangeHttp {
    /// Limits each call to `time`.
    pub(super) fn new(outgoing: Outgoing, time: Duration) -> Self {
        let bytes = RESPONSE_BYTES_MAX;
        Self {
            outgoing,
            limits: Limits { time, bytes },
        }
    }

    /// Sends a request until the exchange returns something other than a server error. Each attempt builds its own
    /// request, because a signature contains the time.
    pub(super) async fn send(
        &self,
        request: impl Fn() -> Result<Request<Bytes>, ExchangeError>,
    ) -> Result<CallResponse, ExchangeError> {
        let mut attempt = 1;
        loop {
            let error = match self.outgoing.send(request()?, self.limits).await {
                Ok(response) if response.status.is_server_error() => {
                    let status = response.status.as_u16();
                    ExchangeError::unreachable(format!("the exchange returns status {status}"))
                }
                Ok(response) => return Ok(response),
                Err(CallError::TimedOut) => ExchangeError::TimedOut,
                Err(error @ (CallError::TooLong(_) | CallError::Network(_))) => {
                    ExchangeError::unreachable(tiris_runtime::explain(&error))
                }
            };
            if attempt == ATTEMPTS_MAX {
                return Err(error);
            }

            let longest = BACKOFF * 2_u32.pow(attempt - 1);
            // Half of the wait is random, so that many callers do not retry at once.
            sleep(longest / 2 + longest / 512 * u32::from(rand::random::<u8>())).await;
            attempt += 1;
        }
    }

    /// Sends a request; when the exchange refuses its time, runs `sync` and sends it once more.
    pub(super) async fn verdict(
        &self,
        request: impl Fn() -> Result<Request<Bytes>, ExchangeError>,
        meaning: fn(&CallResponse) -> Meaning,
        sync: impl Future<Output = Result<(), ExchangeError>>,
    ) -> Result<Verdict, ExchangeError> {
        let first = meaning(&self.send(&request).await?);
        if first != Meaning::WrongTime {
            return first.verdict();
        }

        sync.await?;
        meaning(&self.send(&request).await?).verdict()
    }
}

/// Builds a GET without a body.
pub(super) fn get<const N: usize>(
    url: &str,
    headers: [(&'static str, HeaderValue); N],
) -> Result<Request<Bytes>, ExchangeError> {
    let mut request = Request::get(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .body(Bytes::new())
        .map_err(ExchangeError::unreachable)
}

/// Returns a secret as a header value that `Debug` hides.
pub(super) fn secret_header(secret: &SecretString) -> Result<HeaderValue, ExchangeError> {
    let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| {
        ExchangeError::unreachable("the API key has characters that no header can hold")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses the JSON of a response; null when it is malformed.
pub(super) fn json(body: &Bytes) -> serde_json::Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// Returns a code of an exchange if it looks like one: arbitrary text of an exchange is not repeated.
pub(super) fn code_of(text: &str) -> &str {
    let is_code = |c: char| c.is_ascii_alphabetic() || " _:-".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_code) {
        text
    } else {
        "unknown code"
    }
}
