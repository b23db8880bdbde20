//! Shared by the development programs of Tiris Backend: starting services of this build, a REST client, publishing
//! events, numbered users, checks of the books, terminal output.
//!
//! Must not know: what a program does with all this.

mod api_client;
mod api_server;
mod books;
mod population;
mod publish;
mod service;
mod stall;
mod terminal;
mod token;

pub use api_client::ApiClient;
pub use api_server::ApiServer;
pub use books::{booked_events, check_books, count_rows, verify_books};
pub use population::{EVENT_AMOUNT, EventIds, Population};
pub use publish::PublishWindow;
pub use service::{READY_LIMIT, Service, ready_url, run_program, service};
pub use stall::Stall;
pub use terminal::{exit_code, table};
pub use token::{IssuedToken, issue_token};
