//! Exchange bindings: accounts at exchanges, private ones with credentials and public ones without.

mod change;
mod create;
pub(super) mod credentials;
mod delete;
mod get;
pub(super) mod given;
pub(crate) mod in_info;
mod list;
pub(super) mod object;
mod update;
pub(super) mod verification;
mod verify;

pub(super) use create::{PrivateBinding, created};
use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListExchangeBindings,
        list::ListPublicExchangeBindings,
        create::CreateExchangeBinding,
        get::GetExchangeBinding,
        update::UpdateExchangeBinding,
        delete::DeleteExchangeBinding,
        verify::VerifyExchangeBinding,
    )
}
