//! The security scheme of operations for admins: the same token, of a user whose role is `admin` now.
//!
//! Owns: the check of the role. Must not know: what an admin does.

use super::caller::{self, Asked};
use super::session::Role;
use crate::error::Problem;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use tiris_domain::ids::UserId;
use tiris_store::audit::Actor;
use tiris_store::error::Error;

/// An access token, from signing in; on a developer's machine `tiris-api token --email you@example.com` prints one.
#[derive(SecurityScheme)]
#[oai(
    rename = "AccessToken",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "check"
)]
pub(crate) struct Admin(Asked);

impl Admin {
    /// Who is calling.
    pub(crate) fn user(&self) -> UserId {
        self.0.session.user
    }

    /// For the audit trail.
    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Asked> {
    let asked = caller::asked(request, &bearer).await?;
    match asked.session.role {
        Role::Admin => Ok(asked),
        Role::User => Err(Problem::from(Error::AccessDenied("this is for admins")).into()),
    }
}
