//! Charges every request once, to the allowance of its user or of its address.
//!
//! The extractors `Caller` and `Anyone` charge by the policy of the operation: a request with a good token to its user,
//! any other to its address. What reaches no operation, such as an unknown route, is charged to the address afterwards.

use super::client::Client;
use super::problem::Problem;
use super::rate::{Class, Holder, Limits, Standing};
use poem::http::header::RETRY_AFTER;
use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Request, Response, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use tiris_domain::ids::UserId;

/// Documents for machines that ask for them again and again.
const UNLIMITED: &str = "/.well-known/";
/// Where nothing may be tried more often than an operation there.
const SIGN_IN: &str = "/v1/auth/";

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// The account a request is charged to, shared by everything that handles the request.
#[derive(Clone)]
struct Ticket(Arc<Parts>);

struct Parts {
    limits: Arc<Limits>,
    address: Holder,
    /// What charging resulted in, once the request is charged; `None` inside when it is not limited.
    charged: OnceLock<Option<Standing>>,
}

impl Ticket {
    fn new(limits: Arc<Limits>, request: &Request) -> Self {
        // Connections without an address share one allowance.
        let address = Client::of(request)
            .address
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

        Self(Arc::new(Parts {
            limits,
            address: Holder::at(address),
            charged: OnceLock::new(),
        }))
    }

    async fn charge(&self, class: Option<Class>, holder: Holder) -> Result<(), Problem> {
        if self.0.charged.get().is_some() {
            return Ok(());
        }

        let standing = match class {
            Some(class) => self.0.limits.take(class, holder).await,
            None => None,
        };
        // One task handles a request, so nothing else has charged it meanwhile.
        self.0.charged.set(standing).ok();

        match standing.and_then(|standing| Some((standing.limit, standing.retry_after?))) {
            Some((limit, seconds)) => Err(Problem::RateLimited { limit, seconds }),
            None => Ok(()),
        }
    }
}

/// Charges the request to the user whose token it carries.
pub(crate) async fn charge_user(
    request: &Request,
    class: Option<Class>,
    user: UserId,
) -> Result<(), Problem> {
    match request.data::<Ticket>() {
        Some(ticket) => ticket.charge(class, Holder::User(user.0)).await,
        None => Ok(()),
    }
}

/// Charges the request to its address.
pub(crate) async fn charge_address(request: &Request, class: Option<Class>) -> Result<(), Problem> {
    match request.data::<Ticket>() {
        Some(ticket) => ticket.charge(class, ticket.0.address).await,
        None => Ok(()),
    }
}

/// Lets everything inside charge the request, and adds to its answer where the caller stands.
pub(crate) async fn report<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
    limits: Arc<Limits>,
) -> Result<Response> {
    if request.uri().path().starts_with(UNLIMITED) {
        return next.call(request).await;
    }

    let ticket = Ticket::new(limits, &request);
    request.set_data(ticket.clone());

    let mut response = next.call(request).await?;

    if let Some(Some(standing)) = ticket.0.charged.get() {
        write(response.headers_mut(), standing);
    }
    Ok(response)
}

fn write(headers: &mut HeaderMap, standing: &Standing) {
    headers.insert(LIMIT, HeaderValue::from(standing.limit));
    headers.insert(REMAINING, HeaderValue::from(standing.remaining));
    headers.insert(RESET, HeaderValue::from(standing.reset));
    if let Some(seconds) = standing.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Charges to the address what no operation has charged, below the paths of signing in as much as that.
pub(crate) async fn charge_rest<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let ticket = request.data::<Ticket>().cloned();
    let class = if request.uri().path().starts_with(SIGN_IN) {
        Class::Auth
    } else {
        Class::General
    };

    let result = next.call(request).await;

    if let Some(ticket) = ticket {
        ticket.charge(Some(class), ticket.0.address).await?;
    }
    result
}
