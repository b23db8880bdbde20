//! The order in which blocking dead letters can be retried: none before an earlier one that names one of its accounts.

use std::collections::{BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// A blocking dead letter, for the decision whether it can be retried.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Candidate {
    pub(super) id: Uuid,
    pub(super) stream_seq: i64,
    pub(super) user_id: Uuid,
    pub(super) trading_id: Uuid,
    pub(super) accounts: Option<Vec<Uuid>>,
    /// Nothing but an earlier dead letter holds it up.
    pub(super) is_ready: bool,
}

/// What dead letters that cannot be retried yet hold up.
#[derive(Default)]
struct HeldUp {
    accounts: HashSet<(Uuid, Uuid)>,
    /// Tradings of dead letters without accounts, which hold up all others.
    whole_tradings: HashSet<(Uuid, Uuid)>,
    /// Tradings of all of them, which hold up dead letters without accounts.
    tradings: HashSet<(Uuid, Uuid)>,
}

impl HeldUp {
    fn includes(&self, letter: &Candidate) -> bool {
        let user = letter.user_id;
        let trading = (user, letter.trading_id);
        match &letter.accounts {
            None => self.tradings.contains(&trading),
            Some(accounts) => {
                let is_held = |account: &Uuid| self.accounts.contains(&(user, *account));
                self.whole_tradings.contains(&trading) || accounts.iter().any(is_held)
            }
        }
    }

    fn add(&mut self, letter: &Candidate) {
        let user = letter.user_id;
        let trading = (user, letter.trading_id);
        self.tradings.insert(trading);
        match &letter.accounts {
            None => {
                self.whole_tradings.insert(trading);
            }
            Some(accounts) => {
                let accounts = accounts.iter().map(|account| (user, *account));
                self.accounts.extend(accounts);
            }
        }
    }
}

/// Returns those of `letters`, which are in stream order, that can be retried in this order: they are ready, and so is every
/// earlier one that would hold them up.
pub(super) fn retriable(letters: Vec<Candidate>) -> Vec<Candidate> {
    let mut held_up = HeldUp::default();
    let can_be_retried = |letter: &Candidate| {
        let can_be_retried = letter.is_ready && !held_up.includes(letter);
        if !can_be_retried {
            held_up.add(letter);
        }
        can_be_retried
    };
    letters.into_iter().filter(can_be_retried).collect()
}

/// Returns `limit` of `letters`, in their order: the first of each user, by the ids of the users, before the second of any, so
/// that a user with many leaves room for the others. Of each user it returns the first ones, so that none is returned before
/// another of its user.
pub(super) fn in_turns(letters: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
    let mut turns: HashMap<Uuid, usize> = HashMap::new();
    let mut places = Vec::with_capacity(letters.len());
    for (at, letter) in letters.iter().enumerate() {
        let turn = turns.entry(letter.user_id).or_default();
        places.push((*turn, letter.user_id, at));
        *turn += 1;
    }
    places.sort_unstable();

    let chosen: BTreeSet<usize> = places
        .into_iter()
        .take(limit)
        .map(|(_, _, at)| at)
        .collect();
    let letters = letters.into_iter().enumerate();
    letters
        .filter(|(at, _)| chosen.contains(at))
        .map(|(_, letter)| letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::values;
    use proptest::prelude::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Generates a dead letter with few users, tradings and accounts, so that they often have some in common.
    fn letter() -> impl Strategy<Value = Candidate> {
        let accounts = prop::collection::btree_set(0u128..5, 0..3);
        let accounts = prop::option::weighted(0.9, accounts);
        (0u128..2, 0u128..2, accounts, any::<bool>()).prop_map(
            |(user, trading, accounts, is_ready)| Candidate {
                id: Uuid::now_v7(),
                stream_seq: 0,
                user_id: id(user),
                trading_id: id(trading),
                accounts: accounts.map(|accounts| accounts.into_iter().map(id).collect()),
                is_ready,
            },
        )
    }

    /// Returns whether the later of two dead letters waits behind the earlier one.
    fn waits_behind(later: &Candidate, earlier: &Candidate) -> bool {
        let shares = match (&later.accounts, &earlier.accounts) {
            (Some(later), Some(earlier)) => later.iter().any(|account| earlier.contains(account)),
            _ => later.trading_id == earlier.trading_id,
        };
        later.user_id == earlier.user_id && shares
    }

    proptest! {
        #[test]
        fn retries_those_whose_predecessors_are_all_retried(
            letters in prop::collection::vec(letter(), 0..12),
        ) {
            let mut expected: Vec<Uuid> = Vec::new();
            for (at, letter) in letters.iter().enumerate() {
                let mut predecessors = letters[..at].iter().filter(|earlier| waits_behind(letter, earlier));
                if letter.is_ready && predecessors.all(|earlier| expected.contains(&earlier.id)) {
                    expected.push(letter.id);
                }
            }

            let found = retriable(letters);

            prop_assert_eq!(values(&found, |letter| letter.id), expected);
        }

        #[test]
        fn users_take_turns_and_keep_their_order(
            letters in prop::collection::vec(letter(), 0..12),
            limit in 0usize..14,
        ) {
            let all = values(&letters, |letter| (letter.user_id, letter.id));
            let of = |listed: &[(Uuid, Uuid)], user| {
                let of_user = listed.iter().filter(|(owner, _)| *owner == id(user));
                of_user.copied().collect::<Vec<_>>()
            };

            let found = values(&in_turns(letters, limit), |letter| (letter.user_id, letter.id));

            prop_assert_eq!(found.len(), limit.min(all.len()));
            prop_assert!(found.is_sorted_by_key(|letter| all.iter().position(|one| one == letter)));
            for (user, other) in [(0, 1), (1, 0)] {
                let chosen = of(&found, user);
                prop_assert!(of(&all, user).starts_with(&chosen));
                let is_served = chosen.len() == of(&all, user).len();
                prop_assert!(is_served || of(&found, other).len() <= chosen.len() + 1);
            }
        }
    }

    #[test]
    fn an_event_without_accounts_waits_behind_none() {
        let candidate = |accounts, is_ready| Candidate {
            id: Uuid::now_v7(),
            stream_seq: 0,
            user_id: id(1),
            trading_id: id(1),
            accounts,
            is_ready,
        };
        let unnamed = candidate(Some(Vec::new()), true);
        let expected = unnamed.id;

        let found = retriable(vec![candidate(Some(vec![id(2)]), false), unnamed]);

        assert_eq!(values(&found, |letter| letter.id), [expected]);
    }
}
