//! Exchanges: whether they accept an API key, asked with one signed call that changes nothing.
//!
//! Owns: how each exchange is asked and what its answers mean, limits on time and size, retries. Must not know: bindings,
//! the database, HTTP of our own.

mod binance;
mod clock;
mod gate;
mod http;
mod kraken;
mod sign;

use crate::outgoing::Outgoing;
use bytes::Bytes;
use http::{Answered, Http, Trouble};
use poem::http::Request;
use secrecy::SecretString;
use std::time::Duration;
use tiris_domain::states::ExchangeType;
use tokio::time::{sleep, timeout};

/// How often a call is tried, while the network or the exchange fails.
const ATTEMPTS_MAX: u32 = 3;
/// The first wait between two tries; each next one is twice as long.
const BACKOFF: Duration = Duration::from_millis(200);

/// Where the exchanges are, and when they are asked.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// Base address of Binance.
    pub binance_url: String,
    /// Base address of Kraken.
    pub kraken_url: String,
    /// Base address of Gate.io.
    pub gate_url: String,
    /// How long asking may take, with all tries.
    pub timeout: Duration,
    /// Whether new and changed credentials are verified at once.
    pub verify_changes: bool,
}

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

/// What one answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Verdict(Verdict),
    /// Our clock, or the number of the call, is not what the exchange expects.
    WrongTime,
    /// Nothing about the key; why.
    Nothing(String),
}

/// Asks exchanges.
pub(crate) struct Exchanges {
    binance: binance::Binance,
    kraken: kraken::Kraken,
    gate: gate::Gate,
    http: Http,
    timeout: Duration,
    verify_changes: bool,
}

impl Exchanges {
    pub(crate) fn new(settings: &ExchangeSettings, outgoing: Outgoing) -> Self {
        Self {
            binance: binance::Binance::new(&settings.binance_url),
            kraken: kraken::Kraken::new(&settings.kraken_url),
            gate: gate::Gate::new(&settings.gate_url),
            // So that a first try that hangs leaves time for a second one.
            http: Http::new(outgoing, settings.timeout / 2),
            timeout: settings.timeout,
            verify_changes: settings.verify_changes,
        }
    }

    /// Whether new and changed credentials are verified at once.
    pub(crate) fn verifies_changes(&self) -> bool {
        self.verify_changes
    }

    /// Asks the exchange about a key.
    pub(crate) async fn verify(
        &self,
        exchange: ExchangeType,
        api: ApiKey<'_>,
    ) -> Result<Verdict, ExchangeError> {
        let asked = async {
            match exchange {
                ExchangeType::Binance => self.binance.verify(&self.http, api).await,
                ExchangeType::Kraken => self.kraken.verify(&self.http, api).await,
                ExchangeType::Gate => self.gate.verify(&self.http, api).await,
                ExchangeType::Coinbase | ExchangeType::Okx | ExchangeType::Virtual => {
                    Err(ExchangeError::Unsupported(exchange))
                }
            }
        };
        let result = timeout(self.timeout, asked)
            .await
            .unwrap_or(Err(ExchangeError::TimedOut));
        let outcome = match &result {
            Ok(Verdict::Valid) => "valid",
            Ok(Verdict::Refused(_)) => "refused",
            Err(ExchangeError::Unsupported(_)) => return result,
            Err(ExchangeError::Unreachable(_)) => "unreachable",
            Err(ExchangeError::TimedOut) => "timed_out",
        };
        metrics::counter!("exchange_verifications_total", "exchange" => exchange.as_str(), "outcome" => outcome)
            .increment(1);
        result
    }
}

/// Sends what `make` makes, anew for each try because a signature holds the time, until the exchange answers with
/// something other than a server error.
async fn ask(
    http: &Http,
    make: impl Fn() -> Result<Request<http::Body>, ExchangeError>,
) -> Result<Answered, ExchangeError> {
    let mut attempt = 1;
    loop {
        let error = match http.send(make()?).await {
            Ok(answer) if answer.status.is_server_error() => unexpected(&answer),
            Ok(answer) => return Ok(answer),
            Err(Trouble::TimedOut) => ExchangeError::TimedOut,
            Err(trouble @ (Trouble::TooLong(_) | Trouble::Network(_))) => {
                ExchangeError::Unreachable(format!("{:#}", anyhow::Error::new(trouble)))
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
async fn verdict(
    http: &Http,
    make: impl Fn() -> Result<Request<http::Body>, ExchangeError>,
    meaning: impl Fn(&Answered) -> Meaning,
    correct: impl Future<Output = Result<(), ExchangeError>>,
) -> Result<Verdict, ExchangeError> {
    let first = meaning(&ask(http, &make).await?);
    if first != Meaning::WrongTime {
        return concluded(first);
    }
    correct.await?;
    concluded(meaning(&ask(http, &make).await?))
}

/// The verdict in an answer.
fn concluded(meaning: Meaning) -> Result<Verdict, ExchangeError> {
    match meaning {
        Meaning::Verdict(verdict) => Ok(verdict),
        Meaning::WrongTime => Err(ExchangeError::Unreachable(
            "the exchange refuses the time of the call, or its nonce: other programs may use the key with a larger one"
                .to_owned(),
        )),
        Meaning::Nothing(why) => Err(ExchangeError::Unreachable(why)),
    }
}

fn unexpected(answer: &Answered) -> ExchangeError {
    ExchangeError::Unreachable(format!(
        "the exchange answers with status {}",
        answer.status.as_u16()
    ))
}

/// The JSON of an answer; null when it is none.
fn json(body: &Bytes) -> serde_json::Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A code of an exchange, as long as it looks like one: what else it may say is not repeated.
fn code_of(text: &str) -> String {
    let is_code = |c: char| c.is_ascii_alphabetic() || " _:-".contains(c);
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_code) {
        text.to_owned()
    } else {
        "unknown code".to_owned()
    }
}
