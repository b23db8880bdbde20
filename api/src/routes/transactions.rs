//! Transactions: every change of every balance. Read-only, because the books are append-only.

mod export;
mod get;
mod list;
mod object;
mod owned;

pub(super) use object::{Transaction, transactions_of};

use super::operations;
use get::GetTransaction;
use list::ListTransactions;

operations!(ListTransactions, GetTransaction);
