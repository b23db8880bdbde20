//! The scenarios, one per file.

mod backlog;
mod fills;
mod growth;
mod history;
mod latency;
mod logs;
mod outage;
mod overhead;
mod pages;
mod portal;
mod read;
mod start;

use crate::site::{Bench, MANY, ONE, Outcome};
use anyhow::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Scenario {
    /// A backlog of many accounts
    S1,
    /// A backlog of one account
    S2,
    /// Latency from publishing to the commit
    S3,
    /// A backlog while the tables grow
    S4,
    /// The backlog of an outage
    S5,
    /// One account over HTTP
    S6,
    /// Pages of a long history over HTTP
    S7,
    /// Trades over HTTP
    S8,
    /// A thousand connections
    S9,
    /// Start time, memory, program size
    S10,
    /// A backlog of orders, locked, filled in two parts and released
    Fills,
    /// A backlog with 24 months of history
    H24,
    /// The cost of logging and metrics
    Overhead,
}

impl Scenario {
    pub(crate) async fn run(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::S1 => backlog::run(bench, MANY).await,
            Self::S2 => backlog::run(bench, ONE).await,
            Self::S3 => latency::run(bench).await,
            Self::S4 => growth::run(bench).await,
            Self::S5 => outage::run(bench).await,
            Self::S6 => read::run(bench).await,
            Self::S7 => pages::run(bench).await,
            Self::S8 => logs::run(bench).await,
            Self::S9 => portal::run(bench).await,
            Self::S10 => start::run(bench).await,
            Self::Fills => fills::run(bench).await,
            Self::H24 => history::run(bench).await,
            Self::Overhead => overhead::run(bench).await,
        }
    }
}
