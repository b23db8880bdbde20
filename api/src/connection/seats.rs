//! How many connections there may be, in the whole process and from one address.
//!
//! Owns: counting them. Must not know: what a connection carries.

use crate::http::client::Proxies;
use crate::http::rate::network;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of each address that has any.
type Counts = Arc<Mutex<HashMap<IpAddr, u32>>>;

/// All seats of the process.
pub(crate) struct Seats {
    free: Arc<Semaphore>,
    taken: Counts,
    per_address: u32,
    proxies: Proxies,
}

/// The seat of a connection, free again when it is dropped.
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
    held: Option<(IpAddr, Counts)>,
}

impl Seat {
    fn new(permit: OwnedSemaphorePermit, held: Option<(IpAddr, Counts)>) -> Self {
        metrics::gauge!("http_connections").increment(1);
        Self {
            _permit: permit,
            held,
        }
    }
}

impl Seats {
    /// So many connections, and so many from an address that is no proxy of ours.
    pub(crate) fn new(all: u32, per_address: u32, proxies: Proxies) -> Self {
        let free = usize::try_from(all)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(free)),
            taken: Arc::default(),
            per_address,
            proxies,
        }
    }

    /// Waits until the process has a free seat.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Whether every seat is taken now.
    pub(super) fn are_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// The seat of a connection from `peer`; none when its address holds too many.
    pub(super) fn take(&self, permit: OwnedSemaphorePermit, peer: Option<IpAddr>) -> Option<Seat> {
        let Some(address) = peer.filter(|peer| !self.proxies.contain(*peer)) else {
            return Some(Seat::new(permit, None));
        };
        let address = match address.to_canonical() {
            IpAddr::V6(address) => network(address).into(),
            v4 @ IpAddr::V4(_) => v4,
        };

        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }

        *count += 1;
        Some(Seat::new(permit, Some((address, Arc::clone(&self.taken)))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        metrics::gauge!("http_connections").decrement(1);
        let Some((address, taken)) = &self.held else {
            return;
        };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sit(seats: &Seats, peer: &str) -> Option<Seat> {
        let permit = seats.free().await.expect("a seat");
        seats.take(permit, Some(peer.parse().expect("an address")))
    }

    #[tokio::test]
    async fn an_address_holds_so_many_seats_and_gets_them_back() {
        let seats = Seats::new(
            10,
            1,
            Proxies::new(&["10.0.0.0/8".parse().expect("a network")]),
        );
        let first = sit(&seats, "192.0.2.1").await;

        assert!(first.is_some() && sit(&seats, "192.0.2.1").await.is_none());
        assert!(
            sit(&seats, "::ffff:192.0.2.1").await.is_none(),
            "the same address"
        );

        let v6 = sit(&seats, "2001:db8::1").await;
        assert!(
            v6.is_some() && sit(&seats, "2001:db8::2").await.is_none(),
            "the same network"
        );

        let proxied = [sit(&seats, "10.0.0.1").await, sit(&seats, "10.0.0.1").await];
        assert!(
            proxied.iter().all(Option::is_some),
            "a proxy brings everybody"
        );

        drop(first);
        assert!(sit(&seats, "192.0.2.1").await.is_some());
        drop(v6);
        assert!(
            seats.taken.lock().expect("counts").is_empty(),
            "nobody is remembered who is gone"
        );
    }

    #[tokio::test]
    async fn the_process_holds_so_many_seats() {
        let seats = Seats::new(1, 9, Proxies::default());
        let seat = sit(&seats, "192.0.2.1").await;
        assert!(seats.are_full());
        drop(seat);
        assert!(!seats.are_full() && sit(&seats, "192.0.2.2").await.is_some());
    }
}
