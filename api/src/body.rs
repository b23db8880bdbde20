//! Reads a JSON body from its raw bytes.
//!
//! Owns: the limit on its length, its media type, the rules on free JSON, which only the raw bytes can tell. Must not
//! know: operations.

use crate::error::Problem;
use crate::fields::{Fields, FromFields};
use poem::error::ReadBodyError;
use poem::{Request, RequestBody, Result};
use poem_openapi::impl_apirequest_for_payload;
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::Value;
use tiris_domain::json;
use tiris_store::error::Error;

/// Longest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// A JSON object in a request, read as `T`.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: Type> Payload for JsonBody<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<Value>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: FromFields + Type> ParsePayload for JsonBody<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(request, body).await?;
        Ok(Self(parse(&bytes).map_err(Problem::from)?))
    }
}

impl_apirequest_for_payload!(JsonBody<T>, T: FromFields + Type);

/// The raw bytes of a body.
pub(crate) async fn read(request: &Request, body: &mut RequestBody) -> Result<bytes::Bytes> {
    // Told before a byte is read, so that a client that waits for "100 Continue" need not send the body.
    let announced = request
        .header("content-length")
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES_MAX as u64) {
        return Err(Problem::BodyTooLarge(BODY_BYTES_MAX).into());
    }
    match body.take()?.into_bytes_limit(BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(bytes),
        Err(ReadBodyError::PayloadTooLarge) => Err(Problem::BodyTooLarge(BODY_BYTES_MAX).into()),
        Err(error) => Err(error.into()),
    }
}

fn parse<T: FromFields>(bytes: &[u8]) -> tiris_store::error::Result<T> {
    json::check(bytes).map_err(|error| Error::InvalidInfo(error.to_string()))?;
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::InvalidRequest(format!("the body is no JSON: {error}")))?;
    match value {
        Value::Object(object) => Fields::read(object),
        _ => Err(Error::InvalidRequest(
            "the body must be a JSON object".to_owned(),
        )),
    }
}
