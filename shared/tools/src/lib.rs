//! What the programs for developing Tiris Backend share: services of this build as processes, a client of the REST API,
//! publishing events, tables and exit codes.
//!
//! Owns: how they start our services and speak to them. Must not know: what a program does with all this.

mod api_client;
mod api_server;
mod exit;
mod publish;
mod service;
mod table;
mod token;

pub use api_client::ApiClient;
pub use api_server::ApiServer;
pub use exit::exit_code;
pub use publish::PublishWindow;
pub use service::{READY_LIMIT, ready_url, service};
pub use table::table;
pub use token::{IssuedToken, issue_token};
