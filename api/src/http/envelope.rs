//! The envelope of every answer: success with data, or an error, each with metadata.

use super::problem::Told;
use chrono::{DateTime, SubsecRound, Utc};
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;
use tiris_runtime::trace;

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

impl Metadata {
    /// For an answer made now, as precise as the times the database keeps, in the trace of the running request.
    fn now() -> Self {
        Self {
            timestamp: Utc::now().trunc_subsecs(6),
            trace_id: trace::current().map_or_else(String::new, |trace| trace.id().to_owned()),
        }
    }
}

/// The body of a successful answer around serialized data.
pub(super) fn success(data: &[u8]) -> Vec<u8> {
    // A time and a string always serialize.
    let metadata = serde_json::to_vec(&Metadata::now()).unwrap_or_default();

    [
        &b"{\"success\":true,\"data\":"[..],
        data,
        b",\"metadata\":",
        &metadata,
        b"}",
    ]
    .concat()
}

/// The body of a failed answer.
pub(super) fn failure(told: &Told) -> Vec<u8> {
    let metadata = Metadata::now();
    let failure = Failure {
        success: false,
        error: Failed {
            code: told.code.to_owned(),
            message: told.message.clone(),
            details: told.details.clone(),
            trace_id: metadata.trace_id.clone(),
            timestamp: metadata.timestamp,
        },
        metadata,
    };

    // Strings and times always serialize.
    serde_json::to_vec(&failure).unwrap_or_default()
}
