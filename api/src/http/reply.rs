//! The return types of operations: data in its envelope, or a documented refusal.

use super::answer::{self, Held};
use super::envelope::{self, Failure, Success};
use super::if_match::etag;
use super::policy::Policy;
use super::problem::Problem;
use crate::csv;
use bytes::Bytes;
use poem::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, VARY};
use poem::http::{HeaderValue, StatusCode};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;
use std::marker::PhantomData;
use tiris_store::error::Error;
use tiris_store::idempotency::Kept;

/// Marks a response that repeats the one to an earlier request with the same idempotency key.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Bytes of a list around its rows, with the commas between them.
const ROUND_ROWS_BYTES: usize = 2 * 1024;

/// A successful response with `STATUS`.
pub(crate) enum Reply<T, const STATUS: u16 = 200> {
    /// Data that a client may cache and revalidate by its ETag.
    Read(T),
    /// The same of a list, with what it holds until it is sent.
    List(T, Held),
    /// The outcome of a change, or credentials: not to be cached.
    Done(T),
    /// The stored response to an earlier request with the same idempotency key.
    Kept(Kept),
}

/// The response to a request that creates a resource.
pub(crate) type Created<T> = Reply<T, 201>;

/// The result of an operation with the policy `P`.
pub(crate) type Answer<T, P> = Result<Reply<T>, Refused<P>>;

/// The result of an operation with the policy `P` that creates a resource.
pub(crate) type Made<T, P> = Result<Created<T>, Refused<P>>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// Replies to a GET; the client may revalidate by the ETag.
    pub(crate) fn read(data: T) -> Self {
        Self::Read(data)
    }

    /// Replies to a GET with a list, whose permit is kept until it is sent.
    pub(crate) fn list(data: T, answer: answer::Answer) -> Self {
        Self::List(data, answer.held())
    }

    /// Replies with data that must not be cached.
    pub(crate) fn done(data: T) -> Self {
        Self::Done(data)
    }

    /// Replaces the data of a new response.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U, STATUS> {
        match self {
            Self::Read(data) => Reply::Read(change(data)),
            Self::List(data, held) => Reply::List(change(data), held),
            Self::Done(data) => Reply::Done(change(data)),
            Self::Kept(kept) => Reply::Kept(kept),
        }
    }

    /// Returns the data of a new response, `None` for a stored one.
    pub(crate) fn data(&self) -> Option<&T> {
        match self {
            Self::Read(data) | Self::List(data, _) | Self::Done(data) => Some(data),
            Self::Kept(_) => None,
        }
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        let (data, is_read, held) = match self {
            Self::Read(data) => (data, true, None),
            Self::List(data, held) => (data, true, Some(held)),
            Self::Done(data) => (data, false, None),
            Self::Kept(kept) => {
                let mut response = success(kept.status, envelope::around(kept.body.as_bytes()));
                let headers = response.headers_mut();
                headers.insert(REPLAYED, HeaderValue::from_static("true"));
                return response;
            }
        };
        // Growing step by step, a large body would take up to three times its size.
        let expected = held
            .as_ref()
            .map_or(0, |held| held.bytes + ROUND_ROWS_BYTES);
        let (mut body, data_at) = match envelope::success(&data, expected) {
            Ok(written) => written,
            Err(error) => {
                let problem = Problem::from(Error::Internal(error.into()));
                return poem::Error::from(problem).into_response();
            }
        };
        drop(data);
        if held.is_some() {
            body.shrink_to_fit();
        }

        let tag = HeaderValue::from_str(&etag(&body[data_at]));
        let sent = Sent { body, _held: held };
        let mut response = success(STATUS, Bytes::from_owner(sent));
        if is_read {
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, REVALIDATE);
            if let Ok(tag) = tag {
                headers.insert(ETAG, tag);
            }
        }
        response
    }
}

/// A body that keeps its permit until it is sent.
struct Sent {
    body: Vec<u8>,
    _held: Option<Held>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn success(status: u16, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK))
        .header(CONTENT_TYPE, JSON)
        .header(CACHE_CONTROL, NO_STORE)
        .body(body)
}

impl<T: ParseFromJSON + ToJSON + Type, const STATUS: u16> ApiResponse for Reply<T, STATUS> {
    fn meta() -> MetaResponses {
        let description = if STATUS == 201 { "Created" } else { "Success" };
        MetaResponses {
            responses: vec![documented::<Success<T>>(STATUS, description)],
        }
    }

    fn register(registry: &mut Registry) {
        Success::<T>::register(registry);
    }
}

/// A page of a list in its envelope, or the whole list as CSV for a client that prefers it.
pub(crate) enum Exportable<T> {
    Page(Reply<T>),
    /// CSV has no envelope.
    Csv(Response),
}

impl<T: Serialize + Send> IntoResponse for Exportable<T> {
    fn into_response(self) -> Response {
        let mut response = match self {
            Self::Page(reply) => reply.into_response(),
            Self::Csv(response) => response,
        };
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Accept"));
        response
    }
}

impl<T: ParseFromJSON + ToJSON + Type> ApiResponse for Exportable<T> {
    /// Documents the page alone: CSV has an operation of its own.
    fn meta() -> MetaResponses {
        Reply::<T>::meta()
    }

    fn register(registry: &mut Registry) {
        Reply::<T>::register(registry);
    }
}

/// A response with CSV, which has no envelope.
pub(crate) struct Csv(pub(crate) Response);

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Csv {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The file",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: csv::MEDIA_TYPE,
                    schema: String::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// A refusal of an operation with the policy `P`.
pub(crate) struct Refused<P>(Problem, PhantomData<P>);

impl<P, E: Into<Problem>> From<E> for Refused<P> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<P: Policy> From<Refused<P>> for poem::Error {
    fn from(refused: Refused<P>) -> Self {
        refused.0.into()
    }
}

impl<P: Policy> ApiResponse for Refused<P> {
    fn meta() -> MetaResponses {
        let documented = |(status, description)| MetaResponse {
            headers: headers(status),
            ..documented::<Failure>(status, description)
        };
        MetaResponses {
            responses: P::refusals().into_iter().map(documented).collect(),
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

/// Documents the headers of a refusal.
fn headers(status: u16) -> Vec<MetaHeader> {
    let documented: &[(&str, &str)] = match status {
        429 => &[
            ("Retry-After", "Seconds until the next request is allowed"),
            ("X-RateLimit-Limit", "Requests a minute"),
            ("X-RateLimit-Remaining", "Requests that may follow at once"),
            (
                "X-RateLimit-Reset",
                "Seconds until the whole allowance is available again",
            ),
        ],
        503 => &[("Retry-After", "Seconds until a retry makes sense")],
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
