//! Counts every request once, against the allowance of its user or of its address.
//!
//! Owns: when a request is counted, and how a caller is told where it stands. Must not know: how allowances work.
//! Who sends no token is counted before anything is done, who sends a good one as soon as it is known to be good (see
//! [`charge_user`]), and whoever else by address once the answer is there: a wrong token costs what no token costs.

use super::client::Client;
use crate::error::Problem;
use crate::rate::{Class, Holder, Limits, Standing};
use poem::http::header::{AUTHORIZATION, RETRY_AFTER};
use poem::http::{HeaderMap, HeaderValue};
use poem::{Endpoint, Request, Response, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// What a request is counted by.
#[derive(Clone)]
struct Ticket(Arc<Parts>);

struct Parts {
    limits: Arc<Limits>,
    class: Class,
    address: Holder,
    /// What counting resulted in; none inside when the class is not limited.
    counted: OnceLock<Option<Standing>>,
}

impl Ticket {
    fn new(limits: Arc<Limits>, class: Class, request: &Request) -> Self {
        // A connection without an address shares one with all such.
        let address = Client::of(request)
            .address
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self(Arc::new(Parts {
            limits,
            class,
            address: Holder::at(address),
            counted: OnceLock::new(),
        }))
    }

    /// Counts the request by its address, unless it is counted.
    async fn charge_address(&self) -> Result<(), Problem> {
        let class = if self.0.class == Class::Auth {
            Class::Auth
        } else {
            Class::General
        };
        self.charge(class, self.0.address).await
    }

    async fn charge(&self, class: Class, holder: Holder) -> Result<(), Problem> {
        if self.0.counted.get().is_some() {
            return Ok(());
        }
        let standing = self.0.limits.take(class, holder).await;
        // Nothing else counts a request while this does.
        self.0.counted.set(standing).ok();
        match standing.and_then(|standing| Some((standing.limit, standing.retry_after?))) {
            Some((limit, seconds)) => Err(Problem::RateLimited { limit, seconds }),
            None => Ok(()),
        }
    }
}

/// Counts the request for the user whose token it carries.
pub(crate) async fn charge_user(request: &Request, user: Uuid) -> Result<(), Problem> {
    match request.data::<Ticket>() {
        Some(ticket) => ticket.charge(ticket.0.class, Holder::User(user)).await,
        None => Ok(()),
    }
}

/// Gives the request what it is counted by, and adds to the answer of `next` what counting resulted in.
pub(crate) async fn tell<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    mut request: Request,
    limits: Arc<Limits>,
) -> Result<Response> {
    let Some(class) = Class::of(request.method(), request.uri().path()) else {
        return next.call(request).await;
    };
    let ticket = Ticket::new(limits, class, &request);
    request.set_data(ticket.clone());
    let mut response = next.call(request).await?;
    if let Some(Some(standing)) = ticket.0.counted.get() {
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

/// Counts whatever `next` does not count for a user.
pub(crate) async fn count<E: Endpoint<Output = Response>>(
    next: Arc<E>,
    request: Request,
) -> Result<Response> {
    let Some(ticket) = request.data::<Ticket>().cloned() else {
        return next.call(request).await;
    };
    if ticket.0.class == Class::Auth || !request.headers().contains_key(AUTHORIZATION) {
        ticket.charge_address().await?;
    }
    let result = next.call(request).await;
    ticket.charge_address().await?;
    result
}
