//! The rows of a booking in the audit trail.

use serde_json::{Value, json};
use tiris_store::ledger::Applied;

/// Adds the ids of the transactions and trading logs of bookings to an object of the audit trail.
pub(crate) fn with_booked<'a>(
    mut object: Value,
    booked: impl IntoIterator<Item = &'a Applied>,
) -> Value {
    let mut logs = Vec::new();
    let mut transactions = Vec::new();
    for applied in booked {
        logs.push(applied.log.0);
        transactions.extend(applied.postings.iter().map(|(id, _)| id.0));
    }

    object["transaction_ids"] = json!(transactions);
    object["trading_log_ids"] = json!(logs);
    object
}
