//! Tradings: the unit a bot works on.

mod create;
mod delete;
mod get;
mod list;
mod new;
pub(super) mod object;
mod performance;
mod update;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListTradings,
        create::CreateTrading,
        get::GetTrading,
        update::UpdateTrading,
        delete::DeleteTrading,
        performance::GetPerformance,
        performance::GetEquity,
    )
}
