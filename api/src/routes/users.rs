//! Users: the caller, and for admins all others.

mod action;
mod delete_me;
mod disable;
mod enable;
mod get;
mod get_me;
mod list;
pub(super) mod object;
mod update_me;

use super::operations;
use delete_me::DeleteMe;
use disable::DisableUser;
use enable::EnableUser;
use get::GetUser;
use get_me::GetMe;
use list::ListUsers;
use update_me::UpdateMe;

operations!(
    GetMe,
    UpdateMe,
    DeleteMe,
    ListUsers,
    GetUser,
    DisableUser,
    EnableUser,
);
