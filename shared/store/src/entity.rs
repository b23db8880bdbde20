//! Entities for the lists of the API, one file per table; `migrations/sql` says what their columns mean.
//!
//! Lists with filters of the caller's, and what reads a row as such a list shows it, are built from entities. Everything
//! else is SQL with a row struct of its own, and tables that only such SQL touches have no entity.
#![allow(
    missing_docs,
    reason = "the derived items and most columns have nothing to add to their names"
)]

pub mod bots;
pub mod dead_letters;
pub mod exchange_bindings;
pub mod holds;
pub mod sub_accounts;
pub mod trading_logs;
pub mod tradings;
pub mod transactions;
pub mod users;
