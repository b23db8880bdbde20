//! Entities, one file per table; `migrations/sql` defines the tables and says what their columns mean.
//!
//! Owns: names and types of columns. Must not know: rules and queries. Transactions that move money use SQL of their
//! own, from beginning to end.
#![allow(
    missing_docs,
    reason = "the derived items and most columns have nothing to add to their names"
)]

pub mod audit_logs;
pub mod bare_publishers;
pub mod bots;
pub mod dead_letters;
pub mod exchange_bindings;
pub mod holds;
pub mod idempotency_keys;
pub mod ingest_lanes;
pub mod ingest_workers;
pub mod oauth_identities;
pub mod oauth_states;
pub mod processed_events;
pub mod replay_jobs;
pub mod sessions;
pub mod sub_accounts;
pub mod trading_logs;
pub mod tradings;
pub mod transactions;
pub mod users;
