//! Transactions: every change of every balance. Read-only, because the books are append-only.

mod export;
mod get;
mod list;
pub(super) mod object;
mod owned;

use super::operations;
use get::GetTransaction;
use list::ListTransactions;

operations!(ListTransactions, GetTransaction);
