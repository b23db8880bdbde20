//! The difference between the clock of an exchange and the local one.

use super::call::{ExchangeError, ExchangeHttp, get, json};
use chrono::Utc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Larger differences between the clocks are taken for a defect of the exchange, in milliseconds.
const AHEAD_MILLIS_MAX: u64 = 60 * 60 * 1_000;

/// Starts as the local clock, until it is synchronized with the exchange.
#[derive(Default)]
pub(super) struct Clock {
    ahead_millis: AtomicI64,
}

impl Clock {
    /// Returns milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        Utc::now().timestamp_millis() + self.ahead_millis.load(Ordering::Relaxed)
    }

    /// Reads the time of the exchange from `url`, which returns it in milliseconds as `field`.
    pub(super) async fn sync(
        &self,
        http: &ExchangeHttp,
        url: String,
        field: &str,
    ) -> Result<(), ExchangeError> {
        let sent_at = Utc::now().timestamp_millis();
        let response = http.send(|| get(&url, [])).await?;
        let theirs = json(&response.body)[field]
            .as_i64()
            .ok_or_else(|| ExchangeError::unreachable("the exchange does not return its time"))?;

        let ours = sent_at + (Utc::now().timestamp_millis() - sent_at) / 2;
        let ahead = theirs.saturating_sub(ours);
        if ahead.unsigned_abs() > AHEAD_MILLIS_MAX {
            let why = "the exchange returns a time that is more than an hour off";
            return Err(ExchangeError::unreachable(why));
        }

        self.ahead_millis.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}
