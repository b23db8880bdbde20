//! The effect of a replay in responses.

use crate::routes::prelude::*;
use tiris_store::dead_letters::{AccountChange, Replay, Summary};

/// The effect of a replay on one sub-account.
#[derive(Object, Serialize)]
struct ChangedAccount {
    /// Id of the sub-account
    sub_account_id: Uuid,
    /// Symbol of the asset
    symbol: String,
    /// Balance before the replay, in units of the asset
    balance_before: Field<Money>,
    /// Balance after the replay
    balance_after: Field<Money>,
    /// Locked part of the balance before the replay
    locked_before: Field<Money>,
    /// Locked part of the balance after the replay
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

/// One change of the balance of one sub-account.
#[derive(Object, Serialize)]
struct ReplayPosting {
    /// Id of the transaction; a dry run gives an id that does not exist
    transaction_id: Uuid,
    /// Id of the sub-account
    sub_account_id: Uuid,
    /// `credit` adds to the balance, `debit` takes from it
    direction: Field<Direction>,
    /// Reason of the transaction
    reason: String,
    /// The amount, above zero, in units of the asset
    amount: Field<Money>,
    /// Balance after the transaction
    closing_balance: Field<Money>,
}

/// The effect of replaying one dead letter.
#[derive(Object, Serialize)]
pub(super) struct ReplayEffect {
    /// Id of the dead letter
    dead_letter_id: Uuid,
    /// Id of the user whose books the event changes; null if the message is no event
    #[oai(nullable)]
    user_id: Option<Uuid>,
    /// Id of the user who published the event, by its subject; null for a subject without a user
    #[oai(nullable)]
    published_by: Option<Uuid>,
    /// Whether the event is applied, or would be in a dry run
    applied: bool,
    /// Stable code of the refusal, such as `INSUFFICIENT_BALANCE`; null if applied
    #[oai(nullable)]
    code: Option<String>,
    /// Reason of the refusal; null if applied
    #[oai(nullable)]
    reason: Option<String>,
    /// Whether the event had already been applied by another way; then the dead letter is only closed
    was_applied: bool,
    /// The sub-accounts whose balance or locked part changes
    accounts: Vec<ChangedAccount>,
    /// The changes of balances, in booking order
    postings: Vec<ReplayPosting>,
    /// Whether this was a dry run that changed nothing
    dry_run: bool,
}

impl ReplayEffect {
    pub(super) fn new(replay: Replay, dry_run: bool) -> Self {
        let postings = replay
            .postings
            .into_iter()
            .map(|(id, posting)| ReplayPosting {
                transaction_id: id.0,
                sub_account_id: posting.account.0,
                direction: Field(posting.direction),
                reason: posting.reason,
                amount: Field(posting.amount),
                closing_balance: Field(posting.closing_balance),
            });

        Self {
            dead_letter_id: replay.id,
            user_id: replay.user,
            published_by: replay.publisher,
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

/// The effect of replaying many dead letters.
#[derive(Object, Serialize)]
pub(super) struct BulkReplayed {
    /// Number of attempts; a dead letter can be tried more than once
    tried: u64,
    /// Dead letters that were applied, or would be in a dry run
    applied: u64,
    /// Dead letters passed over, because their payload names another user than their subject: an admin replays them one
    /// by one
    skipped: u64,
    /// Open dead letters that match the filter afterwards
    left: u64,
    /// The `cursor` of the next request; null at the end. A refused event may apply in a second pass, after others have
    /// been applied
    #[oai(nullable)]
    next_cursor: Option<Uuid>,
    /// The effect of each attempt, for a dry run only
    effects: Vec<ReplayEffect>,
    /// Whether this was a dry run that changed nothing
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
            skipped: summary.skipped,
            left: summary.left,
            next_cursor,
            effects: effects.collect(),
            dry_run,
        }
    }
}
