//! The security scheme of the OpenAPI document: a bearer token of a live session.
//!
//! Owns: who asks, and what the audit trail keeps of a request. Must not know: what is asked for.

use super::session::{Role, Session};
use crate::error::Problem;
use crate::middleware::client::Client;
use crate::middleware::limit;
use crate::middleware::wake::Asker;
use crate::state::State;
use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use tiris_domain::ids::UserId;
use tiris_runtime::trace::Trace;
use tiris_store::audit::Actor;
use tiris_store::error::Error;
use uuid::Uuid;

/// An access token, from signing in; on a developer's machine `tiris-api token --email you@example.com` prints one.
#[derive(SecurityScheme)]
#[oai(
    rename = "AccessToken",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "check"
)]
pub(crate) struct Caller(Asked);

/// Who asks, and how he came.
pub(crate) struct Asked {
    pub(super) session: Session,
    pub(super) actor: Actor,
}

impl Caller {
    /// Who is calling.
    pub(crate) fn user(&self) -> UserId {
        self.0.session.user
    }

    /// The sign-in the token belongs to.
    pub(crate) fn session(&self) -> Uuid {
        self.0.session.id
    }

    /// For the audit trail.
    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }

    /// Whether the caller may see what concerns others.
    pub(crate) fn is_admin(&self) -> bool {
        self.0.session.role == Role::Admin
    }
}

async fn check(request: &Request, bearer: Bearer) -> poem::Result<Asked> {
    asked(request, &bearer).await
}

/// The live session of the token, for whose user the request counts; its log line names the user from now on.
pub(super) async fn asked(request: &Request, bearer: &Bearer) -> poem::Result<Asked> {
    let state = request
        .data::<State>()
        .ok_or_else(|| Problem::from(Error::internal("no state in the request")))?;
    let session = state
        .sessions
        .of_token(&bearer.token)
        .await
        .map_err(Problem::from)?;
    tracing::Span::current().record("user_id", tracing::field::display(session.user));
    if let Some(trace) = request.data::<Trace>() {
        trace.is_for(session.user);
    }
    if let Some(asker) = request.data::<Asker>() {
        asker.is(session.user);
    }
    limit::charge_user(request, session.user.0).await?;
    let actor = Actor {
        user: Some(session.user),
        session: Some(session.id),
        ..anonymous(request)
    };
    Ok(Asked { session, actor })
}

/// What is known of whoever sent a request without having signed in.
pub(crate) fn anonymous(request: &Request) -> Actor {
    Actor {
        user: None,
        session: None,
        ip: Client::of(request)
            .address
            .map(|address| address.to_string()),
        agent: request.header("user-agent").map(str::to_owned),
        trace_id: request.data::<Trace>().map(|trace| trace.id().to_owned()),
    }
}
