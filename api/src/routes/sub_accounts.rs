//! Sub-accounts: one asset of a trading, with its balance and holds.

mod create;
mod delete;
mod deposit_entry;
mod get;
mod list;
mod object;
mod update;

pub(super) use deposit_entry::Deposit;
pub(super) use object::SubAccount;

use super::operations;
use create::CreateSubAccount;
use delete::DeleteSubAccount;
use get::GetSubAccount;
use list::ListSubAccounts;
use update::UpdateSubAccount;

operations!(
    ListSubAccounts,
    CreateSubAccount,
    GetSubAccount,
    UpdateSubAccount,
    DeleteSubAccount,
);
