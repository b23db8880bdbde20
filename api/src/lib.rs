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

mod connection;
mod csv;
mod entities;
mod history;
mod http;
mod middleware;
mod outgoing;
mod routes;
mod state;
mod stream;
