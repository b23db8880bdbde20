//! Tradings: what bots work on.

mod create;
mod delete;
mod get;
mod list;
mod new;
mod object;
mod performance;
mod update;

pub(super) use object::not_purged;

use super::operations;
use create::CreateTrading;
use delete::DeleteTrading;
use get::GetTrading;
use list::ListTradings;
use performance::{GetEquity, GetPerformance};
use update::UpdateTrading;

operations!(
    ListTradings,
    CreateTrading,
    GetTrading,
    UpdateTrading,
    DeleteTrading,
    GetPerformance,
    GetEquity,
);
