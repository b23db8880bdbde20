//! What operations return: data in its envelope, or a documented refusal.

use super::envelope::{self, Failure, Success};
use super::if_match::etag;
use super::policy::Policy;
use super::problem::Problem;
use crate::csv;
use poem::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, VARY};
use poem::http::{HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;
use std::marker::PhantomData;
use tiris_store::error::Error;
use tiris_store::idempotency::Kept;

/// Marks an answer that an earlier request with the same idempotency key was given.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// A successful answer with `STATUS`.
pub(crate) struct Reply<T, const STATUS: u16 = 200> {
    content: Content<T>,
}

enum Content<T> {
    /// Data that a client may keep and ask for again by its ETag.
    Read(T),
    /// The outcome of a request that changed something, and what holds credentials.
    Done(T),
    /// The answer to an earlier request with the same idempotency key.
    Kept(Kept),
}

/// The answer to a request that made something.
pub(crate) type Created<T> = Reply<T, 201>;

/// What an operation with the policy `P` returns.
pub(crate) type Answer<T, P> = Result<Reply<T>, Refused<P>>;

/// What an operation with the policy `P` returns that makes something.
pub(crate) type Made<T, P> = Result<Created<T>, Refused<P>>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// Answers a GET: the client may ask again by the ETag.
    pub(crate) fn read(data: T) -> Self {
        Self {
            content: Content::Read(data),
        }
    }

    /// Answers a request whose answer must not be stored.
    pub(crate) fn done(data: T) -> Self {
        Self {
            content: Content::Done(data),
        }
    }

    /// Answers a request as an earlier one with the same idempotency key was answered.
    pub(crate) fn kept(kept: Kept) -> Self {
        Self {
            content: Content::Kept(kept),
        }
    }

    /// The answer to an earlier request, if this is one.
    pub(super) fn into_kept(self) -> Option<Kept> {
        match self.content {
            Content::Read(_) | Content::Done(_) => None,
            Content::Kept(kept) => Some(kept),
        }
    }

    /// The same answer with other data.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U, STATUS> {
        let content = match self.content {
            Content::Read(data) => Content::Read(change(data)),
            Content::Done(data) => Content::Done(change(data)),
            Content::Kept(kept) => Content::Kept(kept),
        };
        Reply { content }
    }

    /// The data of an answer that is new; `None` when it is an earlier one.
    pub(crate) fn data(&self) -> Option<&T> {
        match &self.content {
            Content::Read(data) | Content::Done(data) => Some(data),
            Content::Kept(_) => None,
        }
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        match self.content {
            Content::Read(data) => answer(STATUS, &data, Caching::Revalidate),
            Content::Done(data) => answer(STATUS, &data, Caching::NoStore),
            Content::Kept(kept) => {
                let mut response = success(kept.status, kept.body.as_bytes());
                let headers = response.headers_mut();
                headers.insert(REPLAYED, HeaderValue::from_static("true"));
                response
            }
        }
    }
}

/// What a client may do with an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caching {
    Revalidate,
    NoStore,
}

fn answer(status: u16, data: &impl Serialize, caching: Caching) -> Response {
    let data = match serde_json::to_vec(data) {
        Ok(data) => data,
        Err(error) => {
            let problem = Problem::from(Error::Internal(error.into()));
            return poem::Error::from(problem).into_response();
        }
    };

    let mut response = success(status, &data);
    if caching == Caching::Revalidate {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, REVALIDATE);
        if let Ok(tag) = HeaderValue::from_str(&etag(&data)) {
            headers.insert(ETAG, tag);
        }
    }
    response
}

/// A response with the envelope around serialized data.
fn success(status: u16, data: &[u8]) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK))
        .header(CONTENT_TYPE, JSON)
        .header(CACHE_CONTROL, NO_STORE)
        .body(envelope::success(data))
}

impl<T: ParseFromJSON + ToJSON + Type, const STATUS: u16> ApiResponse for Reply<T, STATUS> {
    fn meta() -> MetaResponses {
        let description = if STATUS == 201 { "Made" } else { "Done" };
        MetaResponses {
            responses: vec![documented::<Success<T>>(STATUS, description)],
        }
    }

    fn register(registry: &mut Registry) {
        Success::<T>::register(registry);
    }
}

/// A page of a list in its envelope, or the whole list as CSV.
pub(crate) enum Exportable<T> {
    /// As JSON.
    Page(Reply<T>),
    /// As CSV, without envelope.
    Csv(Response),
}

impl<T: Serialize + Send> IntoResponse for Exportable<T> {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Page(reply) => reply.into_response(),
            Self::Csv(response) => response,
        };
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_static("Accept"));
        response
    }
}

impl<T: ParseFromJSON + ToJSON + Type> ApiResponse for Exportable<T> {
    fn meta() -> MetaResponses {
        let mut meta = Reply::<T>::meta();
        for response in &mut meta.responses {
            response.content.push(MetaMediaType {
                content_type: csv::MEDIA_TYPE,
                schema: String::schema_ref(),
            });
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Reply::<T>::register(registry);
    }
}

/// A refusal of an operation with the policy `P`.
pub(crate) struct Refused<P> {
    problem: Problem,
    policy: PhantomData<P>,
}

impl<P, E: Into<Problem>> From<E> for Refused<P> {
    fn from(error: E) -> Self {
        Self {
            problem: error.into(),
            policy: PhantomData,
        }
    }
}

impl<P: Policy> From<Refused<P>> for poem::Error {
    fn from(refused: Refused<P>) -> Self {
        refused.problem.into()
    }
}

impl<P: Policy> ApiResponse for Refused<P> {
    fn meta() -> MetaResponses {
        let refusals = P::refusals().into_iter();
        let responses = refusals.map(|(status, description)| MetaResponse {
            headers: headers(status),
            ..documented::<Failure>(status, description)
        });
        MetaResponses {
            responses: responses.collect(),
        }
    }

    fn register(registry: &mut Registry) {
        Failure::register(registry);
    }
}

fn documented<T: ParseFromJSON + ToJSON + Type>(
    status: u16,
    description: &'static str,
) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: Json::<T>::CONTENT_TYPE,
            schema: T::schema_ref(),
        }],
        headers: vec![],
    }
}

/// The headers of a refusal.
fn headers(status: u16) -> Vec<MetaHeader> {
    let documented: &[(&str, &str)] = match status {
        429 => &[
            ("Retry-After", "Seconds until one more request is allowed"),
            ("X-RateLimit-Limit", "Requests a minute"),
            ("X-RateLimit-Remaining", "Requests that may follow at once"),
            (
                "X-RateLimit-Reset",
                "Seconds until the whole allowance is there again",
            ),
        ],
        503 => &[(
            "Retry-After",
            "Seconds after which it is worth trying again",
        )],
        _ => &[],
    };

    let header = |(name, description): &(&str, &str)| MetaHeader {
        name: (*name).to_owned(),
        description: Some((*description).to_owned()),
        required: true,
        deprecated: false,
        schema: u64::schema_ref(),
    };

    documented.iter().map(header).collect()
}
