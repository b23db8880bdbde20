//! The rate limiter: an allowance for each caller and class of requests, refilled evenly (GCRA).

use crate::settings::RateSettings;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::future::Cache;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// An allowance is full again after this time, so one that was idle for as long can be forgotten.
const FULL_AFTER: Duration = Duration::from_secs(60);
/// Maximum number of allowances in memory, some 25 MB: invented addresses evict others and do not grow the process.
const ALLOWANCES_MAX: u64 = 100_000;
/// Bits of an IPv6 address that name a network: a client usually controls all addresses of its network.
const IPV6_NETWORK_BITS: u32 = 64;

/// The class of a request, which selects its allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Everything in no other class.
    General,
    /// Signing in and out.
    Auth,
    /// Requests that can move money.
    Money,
    /// Requests that read or verify credentials of exchanges.
    Credentials,
}

/// The owner of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    User(Uuid),
    /// An IPv4 address, or the first address of an IPv6 network.
    Address(IpAddr),
}

impl Holder {
    /// Returns the holder for requests from this address.
    pub(crate) fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => network(address).into(),
        })
    }
}

/// Returns the first address of the network.
pub(crate) fn network(address: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (u128::BITS - IPV6_NETWORK_BITS)))
}

/// The state of an allowance after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests a minute.
    pub(crate) limit: u32,
    /// Requests that may follow at once.
    pub(crate) remaining: u32,
    /// Seconds until the allowance is full.
    pub(crate) reset: u64,
    /// Seconds until the next request is allowed, when this one is not.
    pub(crate) retry_after: Option<u64>,
}

type Allowance<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// All allowances of this process.
pub(crate) struct Limits<C: Clock = MonotonicClock> {
    rates: RateSettings,
    clock: C,
    allowances: Cache<(Class, Holder), Arc<Allowance<C>>>,
}

impl Limits {
    pub(crate) fn new(rates: RateSettings) -> Self {
        Self::with_clock(rates, MonotonicClock)
    }
}

impl<C: Clock + Clone + Send + Sync + 'static> Limits<C> {
    fn with_clock(rates: RateSettings, clock: C) -> Self {
        let allowances = Cache::builder()
            .max_capacity(ALLOWANCES_MAX)
            .time_to_idle(FULL_AFTER)
            .build();
        Self {
            rates,
            clock,
            allowances,
        }
    }

    /// Takes a request from the holder's allowance; `None` when the class is not limited.
    pub(crate) async fn take(&self, class: Class, holder: Holder) -> Option<Standing> {
        let rate = self.rate(class)?;
        let fresh = async {
            let limiter =
                RateLimiter::direct_with_clock(Quota::per_minute(rate), self.clock.clone());
            Arc::new(limiter.with_middleware())
        };
        let allowance = self.allowances.get_with((class, holder), fresh).await;
        Some(self.standing(&allowance, rate))
    }

    fn standing(&self, allowance: &Allowance<C>, rate: NonZeroU32) -> Standing {
        let limit = rate.get();
        let interval = Quota::per_minute(rate).replenish_interval();

        match allowance.check() {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Standing {
                    limit,
                    remaining,
                    reset: seconds(interval * limit.saturating_sub(remaining)),
                    retry_after: None,
                }
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Standing {
                    limit,
                    remaining: 0,
                    reset: seconds(wait + interval * (limit - 1)),
                    // A wait of zero would read as "not limited".
                    retry_after: Some(seconds(wait).max(1)),
                }
            }
        }
    }

    fn rate(&self, class: Class) -> Option<NonZeroU32> {
        match class {
            Class::General => self.rates.general,
            Class::Auth => self.rates.auth,
            Class::Money => self.rates.money,
            Class::Credentials => self.rates.credentials,
        }
    }
}

/// A rate limit that all callers share.
pub(crate) struct Budget(RateLimiter<NotKeyed, InMemoryState, MonotonicClock>);

impl Budget {
    pub(crate) fn per_minute(count: u32) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self(RateLimiter::direct_with_clock(
            Quota::per_minute(count),
            MonotonicClock,
        ))
    }

    /// Takes one unit from the budget; returns false when the budget is used up.
    pub(crate) fn allows(&self) -> bool {
        self.0.check().is_ok()
    }
}

/// Rounds up to whole seconds.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests;
