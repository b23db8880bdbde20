//! The API over real HTTP, against a real database.

mod access;
mod balances;
mod binary;
mod envelope;
mod events;
mod forged;
mod free_json;
mod history;
mod journey;
mod money;
mod openapi;
mod rejections;
mod sessions;
mod sign_in;
mod stub;
mod trouble;
mod users;
mod world;
