//! Sessions of the caller: which devices are signed in.

mod delete;
mod list;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (list::ListSessions, delete::DeleteSession)
}
