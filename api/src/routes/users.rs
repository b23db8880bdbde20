//! Users: the caller, and for admins all others.

mod delete_me;
mod get;
mod list;
pub(super) mod object;
mod set_status;
mod update_me;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        get::GetMe,
        update_me::UpdateMe,
        delete_me::DeleteMe,
        list::ListUsers,
        get::GetUser,
        set_status::DisableUser,
        set_status::EnableUser,
    )
}
