//! Shared by the development programs of Tiris Backend: starting services, a REST client, publishing
//! events, numbered users and orders, checks of the books, terminal output.
//!
//! Must not know: what a program does with all this.

mod api_client;
mod api_server;
mod books;
mod broker;
mod build;
mod chart;
mod order_flow;
mod population;
mod proc_fs;
mod publish;
mod service;
mod stall;
mod terminal;
mod token;

pub use api_client::ApiClient;
pub use api_server::ApiServer;
pub use books::{BookedRows, booked_events, check_books, check_rows, count_rows, verify_books};
pub use broker::{STREAM_OWNER, bot_url, broker_accounts};
pub use build::{Build, Release};
pub use chart::{Curve, Series};
pub use order_flow::OrderFlow;
pub use population::{EVENT_AMOUNT, EventIds, Population};
pub use proc_fs::{memory_kib, open_files, proc_field};
pub use publish::PublishWindow;
pub use service::{READY_LIMIT, Service, ready_url, run_program, service};
pub use stall::Stall;
pub use terminal::{exit_code, table};
pub use token::{IssuedToken, issue_token};
