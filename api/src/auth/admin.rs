//! The security scheme of operations for admins: the same token, of a user whose role is `admin` now.
//!
//! Owns: the check of the role, and what the audit trail keeps of a request. Must not know: what an admin does.

use super::caller;
use super::session::{Role, Session};
use crate::error::Problem;
use crate::middleware::trace::TraceId;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use tiris_shared::error::Error;
use tiris_shared::ids::UserId;
use tiris_shared::store::audit::Actor;

/// An access token, from signing in; on a developer's machine `tiris-api token --email you@example.com` prints one.
#[derive(SecurityScheme)]
#[oai(rename = "AccessToken", ty = "bearer", bearer_format = "JWT", checker = "check")]
pub(crate) struct Admin(Asked);

/// Who asks, and how he came.
pub(crate) struct Asked {
    session: Session,
    actor: Actor,
}

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
    let session = caller::session(request, &bearer).await?;
    match session.role {
        Role::Admin => Ok(Asked { actor: actor(request, &session), session }),
        Role::User => Err(Problem::from(Error::AccessDenied("this is for admins")).into()),
    }
}

fn actor(request: &Request, session: &Session) -> Actor {
    Actor {
        user: Some(session.user.0),
        session: Some(session.id),
        ip: request.remote_addr().as_socket_addr().map(|address| address.ip().to_string()),
        agent: request.header("user-agent").map(str::to_owned),
        trace_id: request.data::<TraceId>().map(|id| id.0.to_string()),
    }
}
