//! The API over real HTTP, against a real database.

mod access;
mod balances;
mod binary;
mod bindings;
mod envelope;
mod events;
mod exchanges;
mod forged;
mod free_json;
mod history;
mod idempotency;
mod journey;
mod limits;
mod live;
mod local_provider;
mod money;
mod openapi;
mod rejections;
mod secrets;
mod sessions;
mod sign_in;
mod stub;
mod trouble;
mod users;
mod versions;
mod world;
