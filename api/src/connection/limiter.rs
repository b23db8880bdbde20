//! Limits the connections of the process and of each address.

use crate::http::client::Proxies;
use crate::http::rate::network;
use crate::keyed_limit::{Gauged, KeyedLimit, KeyedPermit};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) struct ConnectionLimiter {
    process: Arc<Semaphore>,
    addresses: KeyedLimit<IpAddr>,
    proxies: Proxies,
}

/// The permission of a connection to exist, until it is dropped.
pub(crate) struct ConnectionPermit {
    _process: OwnedSemaphorePermit,
    /// Connections of trusted proxies have no limit per address.
    _address: Option<KeyedPermit<IpAddr>>,
    _gauge: Gauged,
}

impl ConnectionLimiter {
    pub(crate) fn new(max: u32, per_address: u32, proxies: Proxies) -> Self {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        Self {
            process: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            addresses: KeyedLimit::new(per_address),
            proxies,
        }
    }

    /// Waits until the process may have another connection.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.process).acquire_owned().await.ok()
    }

    /// Returns whether the process has as many connections as it may.
    pub(super) fn is_full(&self) -> bool {
        self.process.available_permits() == 0
    }

    /// Permits a connection from `peer`, `None` when its address has as many as it may.
    pub(super) fn permit(
        &self,
        process: OwnedSemaphorePermit,
        peer: Option<IpAddr>,
    ) -> Option<ConnectionPermit> {
        let address = peer.filter(|peer| !self.proxies.contain(*peer));
        let address = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => Some(self.addresses.take(network(address).into())?),
            Some(address @ IpAddr::V4(_)) => Some(self.addresses.take(address)?),
            None => None,
        };

        Some(ConnectionPermit {
            _process: process,
            _address: address,
            _gauge: Gauged::new("http_connections"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn connect(limiter: &ConnectionLimiter, peer: &str) -> Option<ConnectionPermit> {
        let process = limiter.free().await.expect("a permit");
        limiter.permit(process, Some(peer.parse().expect("an address")))
    }

    #[tokio::test]
    async fn limits_connections_per_address_except_for_proxies() {
        let proxies = Proxies::new(&["10.0.0.0/8".parse().expect("a network")]);
        let limiter = ConnectionLimiter::new(10, 1, proxies);

        let first = connect(&limiter, "192.0.2.1").await;
        assert!(first.is_some());
        assert!(connect(&limiter, "192.0.2.1").await.is_none());
        let mapped = connect(&limiter, "::ffff:192.0.2.1").await;
        assert!(mapped.is_none(), "the same address");

        let v6 = connect(&limiter, "2001:db8::1").await;
        assert!(v6.is_some());
        let neighbour = connect(&limiter, "2001:db8::2").await;
        assert!(neighbour.is_none(), "the same network");

        let proxied = [
            connect(&limiter, "10.0.0.1").await,
            connect(&limiter, "10.0.0.1").await,
        ];
        assert!(proxied.iter().all(Option::is_some));

        drop(first);
        assert!(connect(&limiter, "192.0.2.1").await.is_some());
    }

    #[tokio::test]
    async fn limits_connections_of_the_process() {
        let limiter = ConnectionLimiter::new(1, 9, Proxies::default());

        let permit = connect(&limiter, "192.0.2.1").await;
        assert!(limiter.is_full());

        drop(permit);
        assert!(!limiter.is_full());
        assert!(connect(&limiter, "192.0.2.2").await.is_some());
    }
}
