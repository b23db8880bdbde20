//! The API over real HTTP, against a real database.

mod access;
mod balances;
mod binary;
mod bindings;
mod envelope;
mod events;
mod exchanges;
mod free_json;
mod history;
mod journey;
mod money;
mod openapi;
mod rejections;
mod secrets;
mod sessions;
mod trouble;
mod world;
