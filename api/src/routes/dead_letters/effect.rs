//! What a replay did, or would do.

use crate::http::field::Field;
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::ledger::Direction;
use tiris_domain::money::Money;
use tiris_store::dead_letters::{AccountChange, Replay, Summary};
use uuid::Uuid;

/// What a replay does to one sub-account.
#[derive(Object, Serialize)]
struct ChangedAccount {
    sub_account_id: Uuid,
    /// Asset it holds
    symbol: String,
    balance_before: Field<Money>,
    balance_after: Field<Money>,
    /// Of the balance, what is held for orders
    locked_before: Field<Money>,
    locked_after: Field<Money>,
}

impl From<AccountChange> for ChangedAccount {
    fn from(change: AccountChange) -> Self {
        Self {
            sub_account_id: change.account.0,
            symbol: change.symbol,
            balance_before: Field(change.balance.0),
            balance_after: Field(change.balance.1),
            locked_before: Field(change.locked.0),
            locked_after: Field(change.locked.1),
        }
    }
}

/// One change of one balance.
#[derive(Object, Serialize)]
struct MadePosting {
    /// The transaction; of a dry run one that does not exist
    transaction_id: Uuid,
    sub_account_id: Uuid,
    direction: Field<Direction>,
    reason: String,
    amount: Field<Money>,
    closing_balance: Field<Money>,
}

/// What a replay of one letter did, or would do.
#[derive(Object, Serialize)]
pub(super) struct ReplayEffect {
    dead_letter_id: Uuid,
    /// Whether its event is in the books now, or would be
    applied: bool,
    /// Why not, as a stable code
    #[oai(nullable)]
    code: Option<String>,
    /// Why not, in words
    #[oai(nullable)]
    reason: Option<String>,
    /// Whether it was in the books already by another way; then only the letter is closed
    was_applied: bool,
    /// The sub-accounts it touches
    accounts: Vec<ChangedAccount>,
    /// The changes of balances it makes, in order
    postings: Vec<MadePosting>,
    /// Whether nothing was changed, because it was only asked what would happen
    dry_run: bool,
}

impl ReplayEffect {
    pub(super) fn new(replay: Replay, dry_run: bool) -> Self {
        let postings = replay
            .postings
            .into_iter()
            .map(|(id, posting)| MadePosting {
                transaction_id: id.0,
                sub_account_id: posting.account.0,
                direction: Field(posting.direction),
                reason: posting.reason,
                amount: Field(posting.amount),
                closing_balance: Field(posting.closing_balance),
            });

        Self {
            dead_letter_id: replay.id,
            applied: replay.refused.is_none(),
            was_applied: replay.was_applied,
            accounts: replay
                .accounts
                .into_iter()
                .map(ChangedAccount::from)
                .collect(),
            postings: postings.collect(),
            dry_run,
            code: replay.refused.as_ref().map(|cause| cause.code().to_owned()),
            reason: replay.refused.map(|cause| cause.to_string()),
        }
    }
}

/// What a replay of many letters did, or would do.
#[derive(Object, Serialize)]
pub(super) struct BulkReplayed {
    /// Tries, of the same letter more than once perhaps
    tried: u64,
    /// Letters whose events are in the books now, or would be
    applied: u64,
    /// Open letters the filter selects after it
    left: u64,
    /// Ask again with this as `cursor` to go on; null at the end. What was refused may apply in another pass, when
    /// something before or behind it applied
    #[oai(nullable)]
    next_cursor: Option<Uuid>,
    /// What each would do; of a dry run only
    effects: Vec<ReplayEffect>,
    /// Whether nothing was changed, because it was only asked what would happen
    dry_run: bool,
}

impl BulkReplayed {
    pub(super) fn new((summary, next_cursor): (Summary, Option<Uuid>), dry_run: bool) -> Self {
        let effects = summary
            .effects
            .into_iter()
            .map(|replay| ReplayEffect::new(replay, dry_run));
        Self {
            tried: summary.tried,
            applied: summary.applied,
            left: summary.left,
            next_cursor,
            effects: effects.collect(),
            dry_run,
        }
    }
}
