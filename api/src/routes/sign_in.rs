//! Signing in by an identity provider, renewing access tokens, signing out.

mod arrival;
mod callback;
mod challenge;
mod login;
mod logout;
mod logout_all;
mod provider;
mod refresh;
mod tokens;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        login::Login,
        callback::LoginCallback,
        refresh::Refresh,
        logout::Logout,
        logout_all::LogoutAll,
    )
}
