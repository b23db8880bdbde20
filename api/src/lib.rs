//! The REST API of Tiris Backend: operations, authentication, the response envelope and the OpenAPI document.
//!
//! Must not know: the rules of the ledger, the ingestion of events. Handlers check requests and call functions with SQL;
//! there is no layer in between.

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
mod keyed_limit;
mod live;
mod middleware;
mod outgoing;
mod routes;
mod state;
