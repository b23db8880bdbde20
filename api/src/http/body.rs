//! The JSON body of a request.

use super::json;
use super::problem::Problem;
use poem::error::ReadBodyError;
use poem::{Request, RequestBody, Result};
use poem_openapi::impl_apirequest_for_payload;
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Longest body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 256 * 1024;

/// A JSON object in a request, deserialized as `T` and documented by the schema of `T`.
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

impl<T: DeserializeOwned + Type> ParsePayload for JsonBody<T> {
    const IS_REQUIRED: bool = true;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = read(request, body).await?;
        Ok(Self(json::read(&bytes).map_err(Problem::from)?))
    }
}

impl_apirequest_for_payload!(JsonBody<T>, T: DeserializeOwned + Type);

/// Reads the raw bytes of a body.
pub(crate) async fn read(request: &Request, body: &mut RequestBody) -> Result<bytes::Bytes> {
    // Refused before reading, so that a client that waits for "100 Continue" need not send the body.
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
