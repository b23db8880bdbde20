//! Trading logs: the journal of a trading, and commands that move money as they are logged.

mod create;
mod delete;
mod drift;
mod get;
pub(super) mod list;
mod list_of_trading;
mod money;
pub(super) mod object;
mod of_account;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListTradingLogs,
        list_of_trading::ListTradingLogsOfTrading,
        get::GetTradingLog,
        create::CreateTradingLog,
        delete::DeleteTradingLog,
    )
}
