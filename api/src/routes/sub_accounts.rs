//! Sub-accounts: one asset of a trading, with its balance and holds.

mod create;
mod delete;
mod deposit;
pub(super) mod deposit_entry;
mod get;
mod get_history;
mod get_past_balance;
mod list;
mod list_holds;
mod move_money;
pub(super) mod object;
mod release_hold;
mod update;
mod withdraw;

use super::operations;
use create::CreateSubAccount;
use delete::DeleteSubAccount;
use deposit::Deposit;
use get::GetSubAccount;
use get_history::GetBalanceHistory;
use get_past_balance::GetPastBalance;
use list::ListSubAccounts;
use list_holds::ListHolds;
use release_hold::ReleaseHold;
use update::UpdateSubAccount;
use withdraw::Withdraw;

operations!(
    ListSubAccounts,
    CreateSubAccount,
    GetSubAccount,
    Deposit,
    Withdraw,
    ListHolds,
    ReleaseHold,
    UpdateSubAccount,
    DeleteSubAccount,
    GetPastBalance,
    GetBalanceHistory,
);
