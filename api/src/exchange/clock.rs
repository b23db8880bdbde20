//! The clock of an exchange, as far as it differs from ours.

use super::call::{ExchangeError, Http, json};
use super::sign::now_millis;
use bytes::Bytes;
use poem::http::Request;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that differs from ours by more is not believed, in milliseconds.
const AHEAD_MILLIS_MAX: u64 = 60 * 60 * 1_000;

/// Starts as ours, until the exchange is asked for its own.
#[derive(Default)]
pub(super) struct Clock {
    ahead_millis: AtomicI64,
}

impl Clock {
    /// Milliseconds since 1970.
    pub(super) fn now_millis(&self) -> i64 {
        now_millis() + self.ahead_millis.load(Ordering::Relaxed)
    }

    /// Asks `url`, which answers the time in milliseconds as `field`.
    pub(super) async fn learn(
        &self,
        http: &Http,
        url: &str,
        field: &str,
    ) -> Result<(), ExchangeError> {
        let unreachable = |why: &str| ExchangeError::unreachable(why);
        let make = || {
            Request::get(url)
                .body(Bytes::new())
                .map_err(ExchangeError::unreachable)
        };

        let asked_at = now_millis();
        let answer = http.ask(make).await?;
        let theirs = json(&answer.body)[field].as_i64();
        let theirs = theirs.ok_or_else(|| unreachable("the exchange does not tell its time"))?;

        let ours = asked_at + (now_millis() - asked_at) / 2;
        let ahead = theirs.saturating_sub(ours);
        if ahead.unsigned_abs() > AHEAD_MILLIS_MAX {
            return Err(unreachable("the exchange tells an impossible time"));
        }

        self.ahead_millis.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}
