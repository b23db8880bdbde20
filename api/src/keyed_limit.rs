//! Limits how much each key holds at the same time, such as connections per address or exports per user.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};

/// A limit for each key; cloning is cheap.
#[derive(Clone)]
pub(crate) struct KeyedLimit<K> {
    max: u32,
    /// Keys that hold nothing are absent.
    held: Arc<Mutex<HashMap<K, u32>>>,
}

/// A slot of a key, free again on drop.
pub(crate) struct KeyedPermit<K: Eq + Hash + Copy> {
    key: K,
    limit: KeyedLimit<K>,
}

impl<K: Eq + Hash + Copy> KeyedLimit<K> {
    pub(crate) fn new(max: u32) -> Self {
        let held = Arc::default();
        Self { max, held }
    }

    /// Takes a slot of the key, `None` when it holds all of them.
    pub(crate) fn take(&self, key: K) -> Option<KeyedPermit<K>> {
        let mut held = self.held();
        let count = held.entry(key).or_default();
        if *count >= self.max {
            return None;
        }

        *count += 1;
        let limit = self.clone();
        Some(KeyedPermit { key, limit })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Copy> Drop for KeyedPermit<K> {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.limit.held().entry(self.key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Counts its own lifetime in a gauge.
pub(crate) struct Gauged(&'static str);

impl Gauged {
    pub(crate) fn new(gauge: &'static str) -> Self {
        metrics::gauge!(gauge).increment(1);
        Self(gauge)
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        metrics::gauge!(self.0).decrement(1);
    }
}

/// Limits how many long operations of a kind a user may run at once in this process.
pub(crate) struct UserLimit {
    /// Names the operations in errors.
    what: &'static str,
    gauge: &'static str,
    slots: KeyedLimit<UserId>,
}

/// The permission to run an operation, until it is dropped.
pub(crate) struct UserPermit {
    _slot: KeyedPermit<UserId>,
    _gauge: Gauged,
}

impl UserLimit {
    pub(crate) fn new(what: &'static str, max: u32, gauge: &'static str) -> Self {
        Self {
            what,
            gauge,
            slots: KeyedLimit::new(max),
        }
    }

    /// Permits one more operation of the user, or fails at the limit.
    pub(crate) fn take(&self, user: UserId) -> Result<UserPermit> {
        let slot = self.slots.take(user).ok_or_else(|| Error::TooManyAtOnce {
            what: self.what,
            max: self.slots.max,
        })?;
        Ok(UserPermit {
            _slot: slot,
            _gauge: Gauged::new(self.gauge),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_each_key_and_forgets_idle_ones() {
        let limit = KeyedLimit::new(2);
        let mut held = vec![
            limit.take("a").expect("a slot"),
            limit.take("a").expect("a slot"),
        ];

        assert!(limit.take("a").is_none());
        assert!(limit.take("b").is_some(), "another key has its own slots");

        held.pop();
        held.push(limit.take("a").expect("the freed slot"));
        assert!(limit.take("a").is_none());

        drop(held);
        assert!(limit.held().is_empty());
    }
}
