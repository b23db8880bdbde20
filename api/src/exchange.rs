//! Verification of API keys at exchanges, by one signed call that changes nothing.
//!
//! Must not know: bindings, the database, the HTTP API.

mod binance;
mod call;
mod clock;
mod gate;
mod kraken;
mod sign;

pub(crate) use call::{ApiKey, ExchangeError, Verdict};

use crate::outgoing::Outgoing;
use call::ExchangeHttp;
use clock::Clock;
use std::time::Duration;
use tiris_domain::states::ExchangeType;
use tokio::time::timeout;

/// The exchanges and when their credentials are verified.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// Base URL of Binance.
    pub binance_url: String,
    /// Base URL of Kraken.
    pub kraken_url: String,
    /// Base URL of Gate.io.
    pub gate_url: String,
    /// Time limit of a verification with all its attempts.
    pub timeout: Duration,
    /// Whether new and changed credentials are verified at once.
    pub verify_changes: bool,
}

/// The client of all exchanges.
pub(crate) struct Exchanges {
    settings: ExchangeSettings,
    http: ExchangeHttp,
    binance_clock: Clock,
    gate_clock: Clock,
    kraken_nonce: kraken::Nonce,
}

impl Exchanges {
    pub(crate) fn new(settings: &ExchangeSettings, outgoing: Outgoing) -> Self {
        Self {
            // A hanging first attempt leaves time for a second one.
            http: ExchangeHttp::new(outgoing, settings.timeout / 2),
            settings: settings.clone(),
            binance_clock: Clock::default(),
            gate_clock: Clock::default(),
            kraken_nonce: kraken::Nonce::default(),
        }
    }

    /// Returns whether new and changed credentials are verified at once.
    pub(crate) fn verifies_changes(&self) -> bool {
        self.settings.verify_changes
    }

    /// Verifies an API key at its exchange.
    pub(crate) async fn verify(
        &self,
        exchange: ExchangeType,
        api: ApiKey<'_>,
    ) -> Result<Verdict, ExchangeError> {
        let result = timeout(self.settings.timeout, self.call(exchange, api))
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

    async fn call(
        &self,
        exchange: ExchangeType,
        api: ApiKey<'_>,
    ) -> Result<Verdict, ExchangeError> {
        let http = &self.http;

        match exchange {
            ExchangeType::Binance => {
                let base = &self.settings.binance_url;
                let clock = &self.binance_clock;
                let request = || binance::account(base, clock.now_millis(), api);
                let sync = clock.sync(http, format!("{base}/api/v3/time"), "serverTime");
                http.verdict(request, binance::meaning, sync).await
            }
            ExchangeType::Gate => {
                let base = &self.settings.gate_url;
                let clock = &self.gate_clock;
                let request = || gate::accounts(base, clock.now_millis(), api);
                let sync = clock.sync(http, format!("{base}/api/v4/spot/time"), "server_time");
                http.verdict(request, gate::meaning, sync).await
            }
            ExchangeType::Kraken => {
                let Some(secret) = kraken::decode(api.secret) else {
                    let why = "the API secret is not base64".to_owned();
                    return Ok(Verdict::Refused(why));
                };
                let base = &self.settings.kraken_url;
                let request = || kraken::balance(base, self.kraken_nonce.next(), api.key, &secret);
                // Nothing to correct: another process may have used a later nonce in the same moment.
                let sync = std::future::ready(Ok(()));
                http.verdict(request, kraken::meaning, sync).await
            }
            ExchangeType::Coinbase | ExchangeType::Okx | ExchangeType::Virtual => {
                Err(ExchangeError::Unsupported(exchange))
            }
        }
    }
}
