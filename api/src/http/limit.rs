//! Charges every request once, to the allowance of its user or of its address.
//!
//! The extractors `Caller` and `Anyone` charge by the policy of the operation: a request with a valid token to its user,
//! any other to its address. A request that reaches no operation, such as one for an unknown route, is charged to its
//! address afterwards.

use super::client::Client;
use super::problem::Problem;
use super::rate::{Class, Holder, Limits, Standing};
use poem::http::HeaderValue;
use poem::http::header::RETRY_AFTER;
use poem::{Endpoint, Request, Response, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use tiris_domain::ids::UserId;

/// Paths that clients poll for public keys; they are not limited.
const UNLIMITED: &str = "/.well-known/";
/// Unknown routes below this path are charged like sign-ins, so that they are no way around that limit.
const SIGN_IN: &str = "/v1/auth/";

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// The charge of a request, shared by everything that handles the request.
struct Charge {
    limits: Arc<Limits>,
    address: Holder,
    /// Set once the request is charged; `None` inside when it is not limited.
    standing: OnceLock<Option<Standing>>,
}

impl Charge {
    fn new(limits: Arc<Limits>, request: &Request) -> Self {
        // Connections without an address share one allowance.
        let address = Client::of(request).address;
        let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

        Self {
            limits,
            address: Holder::at(address),
            standing: OnceLock::new(),
        }
    }

    async fn charge(&self, class: Option<Class>, user: Option<UserId>) -> Result<(), Problem> {
        if self.standing.get().is_some() {
            return Ok(());
        }

        let holder = user.map_or(self.address, |user| Holder::User(user.0));
        let standing = match class {
            Some(class) => self.limits.take(class, holder).await,
            None => None,
        };
        // A single task handles a request, so the cell is still empty.
        self.standing.set(standing).ok();

        match standing.and_then(|standing| Some((standing.limit, standing.retry_after?))) {
            Some((limit, seconds)) => Err(Problem::RateLimited { limit, seconds }),
            None => Ok(()),
        }
    }
}

/// Charges the request to the user, or to its address when there is none.
pub(crate) async fn charge(
    request: &Request,
    class: Option<Class>,
    user: Option<UserId>,
) -> Result<(), Problem> {
    match request.data::<Arc<Charge>>() {
        Some(charge) => charge.charge(class, user).await,
        None => Ok(()),
    }
}

/// Lets inner endpoints charge the request, and reports the allowance in the headers of the response.
pub(crate) async fn report<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
    limits: Arc<Limits>,
) -> Result<Response> {
    if request.uri().path().starts_with(UNLIMITED) {
        return next.call(request).await;
    }

    let charge = Arc::new(Charge::new(limits, &request));
    request.set_data(Arc::clone(&charge));

    let mut response = next.call(request).await?;

    if let Some(Some(standing)) = charge.standing.get() {
        let headers = response.headers_mut();
        headers.insert(LIMIT, HeaderValue::from(standing.limit));
        headers.insert(REMAINING, HeaderValue::from(standing.remaining));
        headers.insert(RESET, HeaderValue::from(standing.reset));
        if let Some(seconds) = standing.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
    Ok(response)
}

/// Charges a request that no operation has charged to its address.
pub(crate) async fn charge_rest<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let charge = request.data::<Arc<Charge>>().cloned();
    let class = if request.uri().path().starts_with(SIGN_IN) {
        Class::Auth
    } else {
        Class::General
    };

    let result = next.call(request).await;

    if let Some(charge) = charge {
        charge.charge(Some(class), None).await?;
    }
    result
}
