//! Extractors that check the caller by the policy of the operation, and charge the call to its allowance.
//!
//! A call is charged to the user once the token is valid, otherwise to the address.

use super::reading::Reading;
use super::session::Session;
use crate::http::client::Client;
use crate::http::limit;
use crate::http::parameters::Parameters;
use crate::http::policy::{Access, Policy};
use crate::http::problem::Problem;
use crate::http::rate::Class;
use crate::state::State;
use poem::http::Method;
use poem::web::Data;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::auth::Bearer;
use poem_openapi::registry::Registry;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme};
use std::marker::PhantomData;
use tiris_domain::ids::UserId;
use tiris_domain::states::Role;
use tiris_runtime::trace::Trace;
use tiris_store::audit::{self, Actor};
use tiris_store::error::Error;
use uuid::Uuid;

/// An access token, as signing in returns it; for local development `tiris-api token --email you@example.com` prints one.
#[derive(SecurityScheme)]
#[oai(rename = "AccessToken", ty = "bearer", bearer_format = "JWT")]
struct BearerToken(Bearer);

/// The signed-in caller of an operation with the policy `P`.
pub(crate) struct Caller<P> {
    session: Session,
    actor: Actor,
    /// What an admin reads; `None` for other users.
    reading: Option<Reading>,
    policy: PhantomData<P>,
}

impl<P> Caller<P> {
    pub(crate) fn user(&self) -> UserId {
        self.session.user
    }

    /// Returns the session of the token.
    pub(crate) fn session(&self) -> Uuid {
        self.session.id
    }

    /// Returns the caller as the audit trail records it.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns whether the caller may see resources of other users; [`Self::record_read`] must record that they do.
    pub(crate) fn is_admin(&self) -> bool {
        self.session.role == Role::Admin
    }

    /// Records in the audit trail that an admin reads data of other users. Must succeed before anything is shown.
    pub(crate) async fn record_read(&self, state: &State) -> Result<(), Error> {
        let Some(reading) = &self.reading else {
            return Ok(());
        };
        let mut connection = state.pool.acquire().await?;
        let recorded = audit::record(&mut connection, &self.actor, &reading.action()).await?;
        recorded.log();
        Ok(())
    }
}

impl<'a, P: Policy> ApiExtractor<'a> for Caller<P> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        BearerToken::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        BearerToken::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bearer = BearerToken::from_request(request, body, options).await;
        let Ok(BearerToken(bearer)) = bearer else {
            limit::charge(request, without_token(P::RATE), None).await?;
            return Err(Problem::from(Error::AuthRequired).into());
        };
        if P::RATE == Some(Class::Auth) {
            limit::charge(request, P::RATE, None).await?;
        }

        let session = session_of(request, &bearer).await?;
        limit::charge(request, P::RATE, Some(session.user)).await?;
        if P::ACCESS == Access::Admin && session.role != Role::Admin {
            return Err(Problem::from(Error::AccessDenied(
                "this operation requires the role admin",
            ))
            .into());
        }
        Parameters::check(request).map_err(Problem::from)?;

        let actor = Actor {
            user: Some(session.user),
            session: Some(session.id),
            ..anonymous(request)
        };
        let is_admin = session.role == Role::Admin;
        let reading = is_admin.then(|| Reading::of(request));
        let caller = Self {
            session,
            actor,
            reading,
            policy: PhantomData,
        };

        if P::ACCESS == Access::Admin && request.method() == Method::GET {
            let Data(state) = Data::<&State>::from_request_without_body(request).await?;
            caller.record_read(state).await.map_err(Problem::from)?;
        }
        Ok(caller)
    }
}

/// The caller of a public operation, charged by address.
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
        limit::charge(request, P::RATE, None).await?;
        Parameters::check(request).map_err(Problem::from)?;
        Ok(Self(PhantomData))
    }
}

/// Returns the class of a call without a valid token: only sign-ins have an allowance of their own.
fn without_token(rate: Option<Class>) -> Option<Class> {
    rate.map(|class| match class {
        Class::Auth => Class::Auth,
        Class::General | Class::Money | Class::Credentials => Class::General,
    })
}

/// Returns the live session of the token, and adds its user to the log line of the request.
async fn session_of(request: &Request, bearer: &Bearer) -> poem::Result<Session> {
    let Data(state) = Data::<&State>::from_request_without_body(request).await?;
    let session = state.sessions.of_token(&bearer.token).await;
    let session = session.map_err(Problem::from)?;

    tracing::Span::current().record("user_id", tracing::field::display(session.user));
    if let Some(trace) = request.data::<Trace>() {
        trace.set_user(session.user);
    }
    Ok(session)
}

/// Returns a client without a session as the audit trail records it.
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
