//! Who is calling: the bearer token of a live session, checked by the policy of the operation.
//!
//! The extractor charges the call to its allowance: to the user once the token is known to be good, else to the address.

use super::session::Session;
use crate::http::client::Client;
use crate::http::limit;
use crate::http::policy::{Access, Policy};
use crate::http::problem::Problem;
use crate::http::rate::Class;
use crate::state::State;
use poem::{Request, RequestBody};
use poem_openapi::auth::{Bearer, BearerAuthorization};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use std::marker::PhantomData;
use tiris_domain::ids::UserId;
use tiris_domain::states::Role;
use tiris_runtime::trace::Trace;
use tiris_store::audit::Actor;
use tiris_store::error::Error;
use uuid::Uuid;

/// Name of the security scheme in the document.
const SCHEME: &str = "AccessToken";
const DESCRIPTION: &str = "An access token, from signing in; on a developer's machine \
    `tiris-api token --email you@example.com` prints one.";

/// The caller of an operation that needs a token, by the policy `P` of the operation.
pub(crate) struct Caller<P> {
    session: Session,
    actor: Actor,
    policy: PhantomData<P>,
}

impl<P> Caller<P> {
    /// The user.
    pub(crate) fn user(&self) -> UserId {
        self.session.user
    }

    /// The sign-in the token belongs to.
    pub(crate) fn session(&self) -> Uuid {
        self.session.id
    }

    /// For the audit trail.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether the caller may see what concerns others.
    pub(crate) fn is_admin(&self) -> bool {
        self.session.role == Role::Admin
    }
}

impl<'a, P: Policy> ApiExtractor<'a> for Caller<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(
            SCHEME,
            MetaSecurityScheme {
                ty: "http",
                description: Some(DESCRIPTION),
                name: None,
                key_in: None,
                scheme: Some("bearer"),
                bearer_format: Some("JWT"),
                flows: None,
                openid_connect_url: None,
            },
        );
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let Ok(bearer) = Bearer::from_request(request) else {
            limit::charge_address(request, by_address(P::RATE)).await?;
            return Err(Problem::from(Error::AuthRequired).into());
        };
        if P::RATE == Some(Class::Auth) {
            limit::charge_address(request, P::RATE).await?;
        }

        let session = session_of(request, &bearer).await?;
        limit::charge_user(request, P::RATE, session.user).await?;
        if P::ACCESS == Access::Admin && session.role != Role::Admin {
            return Err(Problem::from(Error::AccessDenied("this is for admins")).into());
        }

        let actor = Actor {
            user: Some(session.user),
            session: Some(session.id),
            ..anonymous(request)
        };
        Ok(Self {
            session,
            actor,
            policy: PhantomData,
        })
    }
}

/// The caller of a public operation, who is charged by address.
pub(crate) struct Anyone<P>(PhantomData<P>);

impl<'a, P: Policy> ApiExtractor<'a> for Anyone<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];

    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        limit::charge_address(request, P::RATE).await?;
        Ok(Self(PhantomData))
    }
}

/// Without a good token only signing in has an allowance of its own.
fn by_address(rate: Option<Class>) -> Option<Class> {
    match rate {
        Some(Class::Auth) => Some(Class::Auth),
        Some(Class::General | Class::Money | Class::Credentials) => Some(Class::General),
        None => None,
    }
}

/// The live session of the token; the log line of the request names its user from now on.
async fn session_of(request: &Request, bearer: &Bearer) -> poem::Result<Session> {
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
        trace.set_user(session.user);
    }
    Ok(session)
}

/// What is known of a client that is not signed in.
pub(crate) fn anonymous(request: &Request) -> Actor {
    let address = Client::of(request).address;
    let trace = request.data::<Trace>();

    Actor {
        user: None,
        session: None,
        ip: address.map(|address| address.to_string()),
        agent: request.header("user-agent").map(str::to_owned),
        trace_id: trace.map(|trace| trace.id().to_owned()),
    }
}
