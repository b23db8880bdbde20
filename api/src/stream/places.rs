//! How many of something long a user may hold at once in this process.

use crate::http::problem::Problem;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tiris_domain::ids::UserId;

/// Streams of one user in this process.
pub(crate) const STREAMS_PER_USER_MAX: usize = 5;

/// Exports of one user in this process.
pub(crate) const EXPORTS_PER_USER_MAX: usize = 2;

/// Computations of performance of one user in this process.
pub(crate) const MEASURES_PER_USER_MAX: usize = 2;

type Taken = HashMap<UserId, usize>;

/// Places that are taken.
#[derive(Clone)]
pub(crate) struct Places {
    taken: Arc<Mutex<Taken>>,
    /// What they are places for.
    what: &'static str,
    most: usize,
    gauge: &'static str,
}

/// A place, free again when this is dropped.
pub(crate) struct Place {
    places: Places,
    user: UserId,
}

impl Places {
    pub(super) fn for_streams() -> Self {
        Self::new("streams", STREAMS_PER_USER_MAX, "api_live_streams")
    }

    pub(super) fn for_exports() -> Self {
        Self::new("exports", EXPORTS_PER_USER_MAX, "api_exports")
    }

    pub(super) fn for_measures() -> Self {
        Self::new(
            "computations of performance",
            MEASURES_PER_USER_MAX,
            "api_measures",
        )
    }

    fn new(what: &'static str, most: usize, gauge: &'static str) -> Self {
        Self {
            taken: Arc::default(),
            what,
            most,
            gauge,
        }
    }

    /// A place for `user`, unless all of his are taken.
    pub(crate) fn take(&self, user: UserId) -> Result<Place, Problem> {
        let mut taken = self.taken();
        let count = taken.entry(user).or_default();
        if *count >= self.most {
            return Err(Problem::TooManyAtOnce {
                what: self.what,
                most: self.most,
            });
        }
        *count += 1;
        metrics::gauge!(self.gauge).increment(1);
        Ok(Place {
            places: self.clone(),
            user,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!(self.places.gauge).decrement(1);
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
    use tiris_domain::ids::new_id;

    #[test]
    fn a_user_has_so_many_places_and_nobody_is_remembered_who_has_none() {
        let places = Places::for_streams();
        let ann = UserId(new_id());
        let bob = UserId(new_id());

        let mut held: Vec<Place> = (0..STREAMS_PER_USER_MAX)
            .map(|_| places.take(ann).expect("a place"))
            .collect();

        assert!(places.take(ann).is_err());
        assert!(
            places.take(bob).is_ok(),
            "another user has places of his own"
        );

        held.pop();
        held.push(places.take(ann).expect("the place that was left"));
        assert!(places.take(ann).is_err());

        drop(held);
        assert!(places.taken().is_empty());
    }
}
