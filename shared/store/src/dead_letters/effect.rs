//! The effect of replaying a dead letter.

use super::resolve::Actor;
use crate::ledger::{Applied, Cause};
use tiris_domain::ids::{AccountId, TransactionId};
use tiris_domain::ledger::Posting;
use tiris_domain::money::Money;
use uuid::Uuid;

/// Options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Whether amounts that move are rounded half to even to 12 decimal places.
    pub round: bool,
    /// Whether the caller rolls the transaction back, because it needs the effect only.
    pub dry_run: bool,
    /// Recorded as the author of the replay.
    pub by: Actor,
}

/// The effect of a replay on one sub-account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// The sub-account.
    pub account: AccountId,
    /// Asset of the sub-account.
    pub symbol: String,
    /// Balance before and after.
    pub balance: (Money, Money),
    /// Locked part of the balance before and after.
    pub locked: (Money, Money),
}

/// The effect of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    /// Id of the dead letter.
    pub id: Uuid,
    /// The reason why the event is still not in the books; `None` when it is.
    pub refused: Option<Cause>,
    /// Whether the event was in the books before; then the replay only closes the dead letter.
    pub was_applied: bool,
    /// Changes of sub-accounts, by id.
    pub accounts: Vec<AccountChange>,
    /// New postings, in order.
    pub postings: Vec<(TransactionId, Posting)>,
}

impl Replay {
    pub(super) fn without_effect(id: Uuid) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    pub(super) fn refused(id: Uuid, cause: Cause) -> Self {
        Self {
            id,
            refused: Some(cause),
            ..Self::default()
        }
    }

    /// `accounts` are unchanged yet.
    pub(super) fn applied(id: Uuid, applied: Applied, mut accounts: Vec<AccountChange>) -> Self {
        for state in applied.effect.accounts {
            let change = accounts
                .iter_mut()
                .find(|change| change.account == state.id);
            if let Some(change) = change {
                change.balance.1 = state.balance;
                change.locked.1 = state.locked;
            }
        }

        Self {
            id,
            accounts,
            postings: applied.postings,
            ..Self::default()
        }
    }
}
