//! Calls to an exchange: their limits, when one is tried again, and what an answer can mean.

use crate::outgoing::{Answered, Limits, Outgoing, Trouble};
use bytes::Bytes;
use poem::http::{HeaderValue, Request};
use secrecy::{ExposeSecret, SecretString};
use std::fmt::Display;
use std::time::Duration;
use tiris_domain::states::ExchangeType;
use tokio::time::sleep;

/// Longest answer that is read: an account with thousands of assets stays below it.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How often a call is tried, while the network or the exchange fails.
const ATTEMPTS_MAX: u32 = 3;
/// The first wait between two tries; each next one is twice as long.
const BACKOFF: Duration = Duration::from_millis(200);

/// An API key with its secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApiKey<'a> {
    pub(crate) key: &'a SecretString,
    pub(crate) secret: &'a SecretString,
}

/// What an exchange says about an API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It accepts it.
    Valid,
    /// It does not, with a code of its own.
    Refused(String),
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// We do not know how to ask this one.
    #[error("credentials of {0} cannot be verified: only those of binance, kraken and gate can")]
    Unsupported(ExchangeType),
    /// It cannot be reached, or its answer says nothing about the key.
    #[error("{0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("the exchange did not answer in time")]
    TimedOut,
}

impl ExchangeError {
    pub(super) fn unreachable(why: impl Display) -> Self {
        Self::Unreachable(why.to_string())
    }
}

/// What one answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Verdict(Verdict),
    /// Our clock, or the number of the call, is not what the exchange expects.
    WrongTime,
    /// Nothing about the key; why.
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
                "the exchange refuses the time of the call, or its nonce: other programs may use the key with a larger one",
            )),
            Self::Nothing(why) => Err(ExchangeError::Unreachable(why)),
        }
    }
}

/// Sends requests.
pub(super) struct Http {
    outgoing: Outgoing,
    limits: Limits,
}

impl Http {
    /// Calls that each end within `time`.
    pub(super) fn new(outgoing: Outgoing, time: Duration) -> Self {
        let bytes = ANSWER_BYTES_MAX;
        Self {
            outgoing,
            limits: Limits { time, bytes },
        }
    }

    /// Sends what `make` makes, anew for each try because a signature holds the time, until the exchange answers with
    /// something other than a server error.
    pub(super) async fn ask(
        &self,
        make: impl Fn() -> Result<Request<Bytes>, ExchangeError>,
    ) -> Result<Answered, ExchangeError> {
        let mut attempt = 1;
        loop {
            let error = match self.outgoing.send(make()?, self.limits).await {
                Ok(answer) if answer.status.is_server_error() => {
                    let status = answer.status.as_u16();
                    ExchangeError::unreachable(format_args!(
                        "the exchange answers with status {status}"
                    ))
                }
                Ok(answer) => return Ok(answer),
                Err(Trouble::TimedOut) => ExchangeError::TimedOut,
                Err(trouble @ (Trouble::TooLong(_) | Trouble::Network(_))) => {
                    ExchangeError::unreachable(tiris_runtime::explain(&trouble))
                }
            };
            if attempt == ATTEMPTS_MAX {
                return Err(error);
            }

            let longest = BACKOFF * 2_u32.pow(attempt - 1);
            // Half of it at random, so that many callers do not come back at once.
            sleep(longest / 2 + longest / 512 * u32::from(rand::random::<u8>())).await;
            attempt += 1;
        }
    }

    /// Asks what `make` makes; when the exchange refuses its time, `correct`s that and asks once more.
    pub(super) async fn verdict(
        &self,
        make: impl Fn() -> Result<Request<Bytes>, ExchangeError>,
        meaning: impl Fn(&Answered) -> Meaning,
        correct: impl Future<Output = Result<(), ExchangeError>>,
    ) -> Result<Verdict, ExchangeError> {
        let first = meaning(&self.ask(&make).await?);
        if first != Meaning::WrongTime {
            return first.verdict();
        }

        correct.await?;
        meaning(&self.ask(&make).await?).verdict()
    }
}

/// A secret as a header that is never shown.
pub(super) fn secret_header(secret: &SecretString) -> Result<HeaderValue, ExchangeError> {
    let mut value = HeaderValue::from_str(secret.expose_secret())
        .map_err(|_| ExchangeError::unreachable("the key does not fit a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The JSON of an answer; null when it is none.
pub(super) fn json(body: &Bytes) -> serde_json::Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A code of an exchange, as long as it looks like one: what else it may say is not repeated.
pub(super) fn code_of(text: &str) -> &str {
    let is_code = |c: char| c.is_ascii_alphabetic() || " _:-".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_code) {
        text
    } else {
        "unknown code"
    }
}
