//! SQL as free functions, one file per idea. Each takes the connection or transaction it works on, so that the caller
//! shows where a transaction begins and ends.

pub mod audit;
pub mod bare_publishers;
pub mod bots;
mod by_id;
pub mod census;
pub mod column;
pub mod dead_letters;
pub mod drift;
pub mod entity;
pub mod error;
pub mod exchange_bindings;
pub mod idempotency;
pub mod lanes;
pub mod ledger;
pub mod numeric;
pub mod oauth;
pub mod orders;
pub mod partitions;
pub mod performance;
pub mod point_in_time;
pub mod quotas;
pub mod race;
pub mod replay_jobs;
pub mod retention;
pub mod schema;
pub mod sessions;
pub mod status;
pub mod sub_accounts;
pub mod trading_logs;
pub mod tradings;
pub mod users;
pub mod workers;
