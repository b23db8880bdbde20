//! What a replay of a letter does, or would do.

use super::resolve::Actor;
use crate::ledger::{Applied, Cause};
use tiris_domain::ids::{AccountId, TransactionId};
use tiris_domain::ledger::Posting;
use tiris_domain::money::Money;
use uuid::Uuid;

/// How a letter is replayed.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Whether amounts that move are rounded half to even to 12 decimal places.
    pub round: bool,
    /// Whether only the effect is of interest; the caller then rolls back.
    pub dry_run: bool,
    /// Who replays it.
    pub by: Actor,
}

/// What a replay does to one sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// The account.
    pub account: AccountId,
    /// What it holds.
    pub symbol: String,
    /// Balance before and after.
    pub balance: (Money, Money),
    /// Of which is locked, before and after.
    pub locked: (Money, Money),
}

/// What a replay did, or would do.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The letter.
    pub id: Uuid,
    /// Why it is still no part of the books; none when it is now.
    pub refused: Option<Cause>,
    /// Whether the event was in the books already by another way; then only the letter is closed.
    pub was_applied: bool,
    /// The accounts it touches, by id.
    pub accounts: Vec<AccountChange>,
    /// The postings it makes, in order.
    pub postings: Vec<(TransactionId, Posting)>,
}

/// An account before a replay.
pub(super) struct AccountBefore {
    pub(super) id: AccountId,
    pub(super) symbol: String,
    pub(super) balance: Money,
    pub(super) locked: Money,
}

impl Replay {
    pub(super) const fn without_effect(id: Uuid) -> Self {
        Self {
            id,
            refused: None,
            was_applied: false,
            accounts: Vec::new(),
            postings: Vec::new(),
        }
    }

    pub(super) fn refused(id: Uuid, cause: Cause) -> Self {
        Self {
            refused: Some(cause),
            ..Self::without_effect(id)
        }
    }

    pub(super) fn applied(id: Uuid, applied: Applied, before: Vec<AccountBefore>) -> Self {
        let changed = |before: AccountBefore| {
            let states = applied.effect.accounts.iter().rev();
            let after = states.clone().find(|state| state.id == before.id);
            AccountChange {
                account: before.id,
                symbol: before.symbol,
                balance: (
                    before.balance,
                    after.map_or(before.balance, |state| state.balance),
                ),
                locked: (
                    before.locked,
                    after.map_or(before.locked, |state| state.locked),
                ),
            }
        };

        Self {
            accounts: before.into_iter().map(changed).collect(),
            postings: applied.postings,
            ..Self::without_effect(id)
        }
    }
}
