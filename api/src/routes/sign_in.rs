//! Signing in and out.

mod arrival;
mod callback;
mod challenge;
mod login;
mod logout;
mod provider;
mod refresh;
mod refused;
mod tokens;

use super::operations;
use callback::LoginCallback;
use login::Login;
use logout::Logout;
use refresh::Refresh;

operations!(Login, LoginCallback, Refresh, Logout);
