//! Trading logs: what happened on a trading, and commands that move money as they are logged.

mod create;
mod delete;
mod get;
mod list;
mod list_of_trading;
mod money;
pub(super) mod object;
mod owned;

use super::operations;
use create::CreateTradingLog;
use delete::DeleteTradingLog;
use get::GetTradingLog;
use list::ListTradingLogs;
use list_of_trading::ListTradingLogsOfTrading;

operations!(
    ListTradingLogs,
    ListTradingLogsOfTrading,
    GetTradingLog,
    CreateTradingLog,
    DeleteTradingLog,
);
