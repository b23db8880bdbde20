//! Exchanges: whether they accept an API key, asked with one signed call that changes nothing.
//!
//! Owns: how each exchange is asked and what its answers mean, limits on time and size, retries. Must not know: bindings,
//! the database, HTTP of our own.

mod binance;
mod call;
mod clock;
mod gate;
mod kraken;
mod sign;

pub(crate) use call::{ApiKey, ExchangeError, Verdict};

use crate::outgoing::Outgoing;
use call::Http;
use std::time::Duration;
use tiris_domain::states::ExchangeType;
use tokio::time::timeout;

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
