//! The security scheme of the OpenAPI document: a bearer token of a live session.

use super::session::{Role, Session};
use crate::error::Problem;
use crate::state::State;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use tiris_shared::error::Error;
use tiris_shared::ids::UserId;

/// An access token, from signing in; on a developer's machine `tiris-api token --email you@example.com` prints one.
#[derive(SecurityScheme)]
#[oai(rename = "AccessToken", ty = "bearer", bearer_format = "JWT", checker = "check")]
pub(crate) struct Caller(Session);

impl Caller {
    /// Who is calling.
    pub(crate) fn user(&self) -> UserId {
        self.0.user
    }

    /// Whether the caller may see what concerns others.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.role == Role::Admin
    }
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Session> {
    session(request, &bearer).await
}

/// The live session of the token; the log line of the request names its user from now on.
pub(super) async fn session(request: &Request, bearer: &Bearer) -> poem::Result<Session> {
    let state =
        request.data::<State>().ok_or_else(|| Problem::from(Error::internal("no state in the request")))?;
    let session = state.sessions.of_token(&bearer.token).await.map_err(Problem::from)?;
    tracing::Span::current().record("user_id", tracing::field::display(session.user));
    Ok(session)
}
