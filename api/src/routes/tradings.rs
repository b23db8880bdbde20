//! Tradings: what bots work on.

mod create;
mod delete;
mod get;
mod list;
mod new;
pub(super) mod object;
mod performance;
mod update;

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
