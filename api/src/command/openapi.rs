//! Prints the OpenAPI document, which is also committed as `api/openapi.json`.

/// Returns the document as pretty-printed JSON.
#[must_use]
pub fn document() -> String {
    crate::http::document::completed(&crate::http::router::service().spec())
}
