//! The REST API of Tiris Backend: who may ask what, in which words, and what comes back.
//!
//! Owns: HTTP, authentication, the envelope, the OpenAPI document. Must not know: how the ledger decides or how events
//! come in. A handler checks and calls functions with SQL; there is no layer in between.

pub mod app;
pub mod auth;
pub mod cli;
pub mod command;
pub mod exchange;
pub mod settings;

mod body;
mod connection;
mod csv;
mod document;
mod entities;
mod envelope;
mod error;
mod fields;
mod filter;
mod history;
mod ledger;
mod middleware;
mod once;
mod outgoing;
mod page;
mod rate;
mod resource;
mod routes;
mod state;
mod stream;
mod value;
mod version;
