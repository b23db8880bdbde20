//! Tradings: what bots work on.

mod delete;
mod get;
mod list;
mod object;
mod performance;
mod update;

pub(super) use object::not_purged;

use super::operations;
use delete::DeleteTrading;
use get::GetTrading;
use list::ListTradings;
use performance::{GetEquity, GetPerformance};
use update::UpdateTrading;

operations!(
    ListTradings,
    GetTrading,
    UpdateTrading,
    DeleteTrading,
    GetPerformance,
    GetEquity,
);
