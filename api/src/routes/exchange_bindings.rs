//! Exchange bindings: accounts at exchanges, private ones with credentials and public ones without.

mod change;
mod create;
mod credentials;
mod credentials_change;
mod delete;
mod get;
mod given;
mod insert;
mod list;
mod list_public;
mod object;
mod update;
mod verification;
mod verify;

pub(super) use credentials::Credentials;
pub(super) use given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
pub(super) use insert::PrivateBinding;
pub(super) use object::BindingSummary;
pub(super) use verification::after_change;

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
