//! The HTTP side of every operation: policy, limits, bodies, idempotency, transactions, replies and the document.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod details;
pub(crate) mod document;
pub(crate) mod envelope;
pub(crate) mod field;
pub(crate) mod filter;
mod free_text;
pub(crate) mod idempotency;
pub(crate) mod if_match;
pub(crate) mod json;
pub(crate) mod limit;
pub(crate) mod listed;
pub(crate) mod page;
pub(crate) mod parameters;
pub(crate) mod policy;
pub(crate) mod problem;
pub(crate) mod query_time;
pub(crate) mod rate;
pub(crate) mod reading;
pub(crate) mod reply;
pub(crate) mod respond;
pub(crate) mod router;
pub(crate) mod secret;
pub(crate) mod transaction;
