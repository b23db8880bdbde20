//! Exchange bindings: accounts at exchanges, private ones with credentials and public ones without.

mod change;
mod create;
pub(super) mod credentials;
mod credentials_change;
mod delete;
mod get;
pub(super) mod given;
pub(super) mod insert;
mod list;
mod list_public;
pub(super) mod object;
mod update;
pub(super) mod verification;
mod verify;

use super::operations;
use create::CreateExchangeBinding;
use delete::DeleteExchangeBinding;
use get::GetExchangeBinding;
use list::ListExchangeBindings;
use list_public::ListPublicExchangeBindings;
use update::UpdateExchangeBinding;
use verify::VerifyExchangeBinding;

operations!(
    ListExchangeBindings,
    ListPublicExchangeBindings,
    CreateExchangeBinding,
    GetExchangeBinding,
    UpdateExchangeBinding,
    DeleteExchangeBinding,
    VerifyExchangeBinding,
);
