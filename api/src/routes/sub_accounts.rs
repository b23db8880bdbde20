//! Sub-accounts: one asset of a trading, with its balance and holds.

mod create;
mod delete;
mod get;
mod get_history;
mod get_past_balance;
mod list;
mod list_holds;
pub(super) mod move_money;
pub(super) mod object;
mod release_hold;
mod update;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListSubAccounts,
        create::CreateSubAccount,
        get::GetSubAccount,
        move_money::MoveMoney,
        list_holds::ListHolds,
        release_hold::ReleaseHold,
        update::UpdateSubAccount,
        delete::DeleteSubAccount,
        get_past_balance::GetPastBalance,
        get_history::GetBalanceHistory,
    )
}
