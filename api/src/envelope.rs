//! What every answer is wrapped in, and what operations return.
//!
//! Owns: the form of success and failure, and their part of the OpenAPI document. Must not know: single operations.

use crate::csv;
use crate::error::{Problem, Told};
use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use poem::http::header::{CACHE_CONTROL, HeaderName, VARY};
use poem::http::{HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use std::marker::PhantomData;
use tiris_store::error::Error;
use tiris_store::idempotency::Kept;

/// When and under which id an answer was made.
#[derive(Object, Serialize)]
pub(crate) struct Metadata {
    /// When the answer was made
    timestamp: DateTime<Utc>,
    /// Id of the request, also in the header X-Request-ID and in our logs
    #[oai(validator(max_length = 128))]
    trace_id: String,
}

/// An answer of success.
#[derive(Object)]
pub(crate) struct Success<T: ParseFromJSON + ToJSON + Type> {
    /// Always true
    success: bool,
    /// What was asked for
    data: T,
    metadata: Metadata,
}

/// What went wrong.
#[derive(Object, Serialize)]
pub(crate) struct Failed {
    /// Stable code, for programs
    code: String,
    /// Fit to show to a person
    message: String,
    /// For a developer: which field, which limit
    #[oai(nullable)]
    details: Option<String>,
    /// Id of the request, to be told when asking for help
    trace_id: String,
    /// When the answer was made
    timestamp: DateTime<Utc>,
}

/// An answer of failure.
#[derive(Object, Serialize)]
pub(crate) struct Failure {
    /// Always false
    success: bool,
    error: Failed,
    metadata: Metadata,
}

/// The serialized `data` of an answer on its way to the middleware that wraps it.
#[derive(Clone)]
pub(crate) struct Payload(pub(crate) Bytes);

/// Now, as precise as the times the database keeps.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// The body of a successful answer.
pub(crate) fn success(payload: &Payload, trace_id: &str) -> Vec<u8> {
    let metadata = serde_json::to_vec(&Metadata {
        timestamp: now(),
        trace_id: trace_id.to_owned(),
    });
    // A time and a string always serialize.
    let metadata = metadata.unwrap_or_default();
    [
        &b"{\"success\":true,\"data\":"[..],
        &payload.0,
        b",\"metadata\":",
        &metadata,
        b"}",
    ]
    .concat()
}

/// The body of a failed answer.
pub(crate) fn failure(told: &Told, trace_id: &str) -> Vec<u8> {
    let timestamp = now();
    let failure = Failure {
        success: false,
        error: Failed {
            code: told.code.to_owned(),
            message: told.message.clone(),
            details: told.details.clone(),
            trace_id: trace_id.to_owned(),
            timestamp,
        },
        metadata: Metadata {
            timestamp,
            trace_id: trace_id.to_owned(),
        },
    };
    // Strings and times always serialize.
    serde_json::to_vec(&failure).unwrap_or_default()
}

/// Says that an answer is the one an earlier request with the same idempotency key was given.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A successful answer with `STATUS`.
pub(crate) struct Reply<T, const STATUS: u16 = 200> {
    content: Content<T>,
    stored: bool,
}

enum Content<T> {
    Made(T),
    Kept(Kept),
}

/// The answer to a request that made something.
pub(crate) type Created<T> = Reply<T, 201>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    pub(crate) fn new(data: T) -> Self {
        Self {
            content: Content::Made(data),
            stored: true,
        }
    }

    /// One that nobody may keep, because it holds credentials.
    pub(crate) fn unstored(data: T) -> Self {
        Self {
            content: Content::Made(data),
            stored: false,
        }
    }

    /// The answer to an earlier request, again.
    pub(crate) fn kept(kept: Kept) -> Self {
        Self {
            content: Content::Kept(kept),
            stored: true,
        }
    }

    /// What this request made; nothing when an earlier one made it.
    pub(crate) fn made(&self) -> Option<&T> {
        match &self.content {
            Content::Made(data) => Some(data),
            Content::Kept(_) => None,
        }
    }

    /// The earlier answer this one is.
    pub(crate) fn into_kept(self) -> Option<Kept> {
        match self.content {
            Content::Made(_) => None,
            Content::Kept(kept) => Some(kept),
        }
    }

    /// The same answer about a part of what was made; an earlier answer was already about that.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Reply<U, STATUS> {
        let content = match self.content {
            Content::Made(data) => Content::Made(part(data)),
            Content::Kept(kept) => Content::Kept(kept),
        };
        Reply {
            content,
            stored: self.stored,
        }
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        let (status, data, replayed) = match self.content {
            Content::Made(data) => match serde_json::to_vec(&data) {
                Ok(data) => (STATUS, data, false),
                Err(error) => {
                    return poem::Error::from(Problem::from(Error::Internal(error.into())))
                        .into_response();
                }
            },
            Content::Kept(kept) => (kept.status, kept.body.into_bytes(), true),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let mut response = Response::builder()
            .status(status)
            .extension(Payload(data.into()));
        if !self.stored {
            response = response.header(CACHE_CONTROL, "no-store");
        }
        if replayed {
            response = response.header(REPLAYED, "true");
        }
        response.finish()
    }
}

impl<T: ParseFromJSON + ToJSON + Type, const STATUS: u16> ApiResponse for Reply<T, STATUS> {
    fn meta() -> MetaResponses {
        let description = if STATUS == 201 { "Made" } else { "Done" };
        MetaResponses {
            responses: vec![response::<Success<T>>(STATUS, description)],
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
    /// As CSV, bare.
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
            let csv = MetaMediaType {
                content_type: csv::MEDIA_TYPE,
                schema: String::schema_ref(),
            };
            response.content.push(csv);
        }
        meta
    }

    fn register(registry: &mut Registry) {
        Reply::<T>::register(registry);
    }
}

fn response<T: ParseFromJSON + ToJSON + Type>(
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

/// The headers that tell a caller how many requests it may send; all but the first stand in every limited answer.
fn standing() -> Vec<MetaHeader> {
    [
        ("Retry-After", "Seconds until one more request is allowed"),
        ("X-RateLimit-Limit", "Requests a minute"),
        ("X-RateLimit-Remaining", "Requests that may follow at once"),
        (
            "X-RateLimit-Reset",
            "Seconds until the whole allowance is there again",
        ),
    ]
    .map(|(name, description)| header(name, description))
    .into()
}

/// The headers of a refusal.
fn headers(status: u16) -> Vec<MetaHeader> {
    match status {
        429 => standing(),
        503 => vec![header(
            "Retry-After",
            "Seconds after which it is worth trying again",
        )],
        _ => vec![],
    }
}

fn header(name: &str, description: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: true,
        deprecated: false,
        schema: u64::schema_ref(),
    }
}

/// The refusals an operation documents.
pub(crate) trait Refusals: Send + Sync + 'static {
    /// Statuses with what each means here.
    const ALL: &'static [(u16, &'static str)];
}

/// A refusal of an operation that documents `R`.
pub(crate) struct Refused<R> {
    problem: Problem,
    documented: PhantomData<R>,
}

impl<R, E: Into<Problem>> From<E> for Refused<R> {
    fn from(error: E) -> Self {
        Self {
            problem: error.into(),
            documented: PhantomData,
        }
    }
}

impl<R: Refusals> From<Refused<R>> for poem::Error {
    fn from(refused: Refused<R>) -> Self {
        refused.problem.into()
    }
}

impl<R: Refusals> ApiResponse for Refused<R> {
    fn meta() -> MetaResponses {
        let all = R::ALL.iter().map(|(status, description)| MetaResponse {
            headers: headers(*status),
            ..response::<Failure>(*status, description)
        });
        MetaResponses {
            responses: all.collect(),
        }
    }

    fn register(registry: &mut Registry) {
        Failure::register(registry);
    }
}

/// What an operation returns.
pub(crate) type Answer<T, R> = Result<Reply<T>, Refused<R>>;

/// What an operation returns that makes something.
pub(crate) type Made<T, R> = Result<Created<T>, Refused<R>>;
