//! How many streams a user may hold at once in this process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tiris_shared::ids::UserId;

/// Streams of one user in this process.
pub(crate) const STREAMS_PER_USER_MAX: usize = 5;

type Taken = HashMap<UserId, usize>;

/// Places that are taken.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// A place, free again when this is dropped.
pub(super) struct Place {
    places: Places,
    user: UserId,
}

impl Places {
    /// A place for a stream of `user`; none when all are taken.
    pub(super) fn take(&self, user: UserId) -> Option<Place> {
        let mut taken = self.taken();
        let count = taken.entry(user).or_default();
        if *count >= STREAMS_PER_USER_MAX {
            return None;
        }
        *count += 1;
        metrics::gauge!("api_live_streams").increment(1);
        Some(Place { places: self.clone(), user })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("api_live_streams").decrement(1);
        if let Entry::Occupied(mut count) = self.places.taken().entry(self.user) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_shared::ids::new_id;

    #[test]
    fn a_user_has_so_many_places_and_nobody_is_remembered_who_has_none() {
        let (places, ann, bob) = (Places::default(), UserId(new_id()), UserId(new_id()));
        let mut held: Vec<Place> =
            (0..STREAMS_PER_USER_MAX).map(|_| places.take(ann).expect("a place")).collect();
        assert!(places.take(ann).is_none());
        assert!(places.take(bob).is_some(), "another user has places of his own");
        held.pop();
        held.push(places.take(ann).expect("the place that was left"));
        assert!(places.take(ann).is_none());
        drop(held);
        assert!(places.taken().is_empty());
    }
}
