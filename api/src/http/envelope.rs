//! The envelope of every response: success with data, or an error, each with metadata.

use super::details::Details;
use super::problem::Problem;
use chrono::{DateTime, SubsecRound, Utc};
use poem_openapi::Object;
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use serde::Serialize;
use std::ops::Range;
use tiris_runtime::trace;

/// The time and the trace id of a response.
#[derive(Object, Serialize)]
pub(crate) struct Metadata {
    /// Time of the response
    timestamp: DateTime<Utc>,
    /// Id of the request, also in the header X-Request-ID and in the logs of the service
    #[oai(validator(max_length = 128))]
    trace_id: String,
}

/// A successful response.
#[derive(Object)]
pub(crate) struct Success<T: ParseFromJSON + ToJSON + Type> {
    /// Always true
    success: bool,
    /// The requested data
    data: T,
    metadata: Metadata,
}

/// The error of a failed request.
#[derive(Object, Serialize)]
pub(crate) struct Failed {
    /// Stable code, for programs
    code: String,
    /// A sentence that may be shown to a user
    message: String,
    /// For a developer: which field, which limit; for a rejection by the ledger the account and the amounts
    #[oai(nullable)]
    details: Option<Details>,
    /// Id of the request, to be named in a support request
    trace_id: String,
    /// Time of the response
    timestamp: DateTime<Utc>,
}

/// An error response.
#[derive(Object, Serialize)]
pub(crate) struct Failure {
    /// Always false
    success: bool,
    error: Failed,
    metadata: Metadata,
}

impl Metadata {
    /// Truncates the time to microseconds, the precision of the database.
    fn now() -> Self {
        Self {
            timestamp: Utc::now().trunc_subsecs(6),
            trace_id: trace::current().map_or_else(String::new, |trace| trace.id().to_owned()),
        }
    }
}

const HEAD: &[u8] = b"{\"success\":true,\"data\":";

/// Returns the body of a successful response, and where its data is in it. The data has `expected` bytes, as far as known.
pub(super) fn success(
    data: &impl Serialize,
    expected: usize,
) -> serde_json::Result<(Vec<u8>, Range<usize>)> {
    let mut body = Vec::with_capacity(HEAD.len() + expected);
    body.extend_from_slice(HEAD);
    serde_json::to_writer(&mut body, data)?;

    let range = HEAD.len()..body.len();
    close(&mut body);
    Ok((body, range))
}

/// Returns the body of a successful response around serialized data.
pub(super) fn around(data: &[u8]) -> Vec<u8> {
    let mut body = [HEAD, data].concat();
    close(&mut body);
    body
}

fn close(body: &mut Vec<u8>) {
    // A time and a string always serialize.
    let metadata = serde_json::to_vec(&Metadata::now()).unwrap_or_default();

    body.extend_from_slice(b",\"metadata\":");
    body.extend_from_slice(&metadata);
    body.push(b'}');
}

/// Returns the body of an error response.
pub(super) fn failure(problem: &Problem) -> Vec<u8> {
    let metadata = Metadata::now();
    let failure = Failure {
        success: false,
        error: Failed {
            code: problem.code().to_owned(),
            message: problem.message(),
            details: problem.details(),
            trace_id: metadata.trace_id.clone(),
            timestamp: metadata.timestamp,
        },
        metadata,
    };

    // Strings and times always serialize.
    serde_json::to_vec(&failure).unwrap_or_default()
}
