//! The response to a request, with the assertions that all tests share.
//!
//! Each failed assertion shows the request, the status and the body.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::value::text;

/// The response to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Method, path and body of the request, for the messages of assertions.
    pub(crate) request: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// Returns the value of a header; empty without the header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the data of a success, after a check of its envelope.
    #[track_caller]
    pub(crate) fn data(&self) -> &Value {
        assert!(self.status.is_success(), "{self}");
        assert_eq!(self.body["success"], true, "{self}");
        self.check_metadata();

        &self.body["data"]
    }

    /// Returns a list in the data of a success.
    #[track_caller]
    pub(crate) fn list(&self, name: &str) -> &Vec<Value> {
        self.data()[name]
            .as_array()
            .unwrap_or_else(|| panic!("no list of {name}: {self}"))
    }

    /// Returns the field `id` in the data of a success.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        text(&self.data()["id"])
    }

    /// Returns status and code of a failure, after a check of its envelope.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert!(!self.status.is_success(), "{self}");
        assert_eq!(self.body["success"], false, "{self}");
        self.check_metadata();

        let error = &self.body["error"];
        assert_eq!(
            error["trace_id"], self.body["metadata"]["trace_id"],
            "{self}"
        );
        let message = error["message"].as_str();
        assert!(message.is_some_and(|text| !text.is_empty()), "{self}");

        let code = error["code"].as_str().expect("a code");
        (self.status.as_u16(), code)
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.refusal(), (status, code), "{self}");
    }

    #[track_caller]
    pub(crate) fn assert_status(&self, status: u16) {
        assert_eq!(self.status, status, "{self}");
    }

    /// Asserts that the details of an error contain `part`.
    #[track_caller]
    pub(crate) fn assert_details(&self, part: &str) {
        let details = self.body["error"]["details"].as_str().unwrap_or_default();
        assert!(details.contains(part), "no {part:?} in details of {self}");
    }

    #[track_caller]
    pub(crate) fn assert_contains(&self, part: &str) {
        assert!(self.text.contains(part), "no {part:?} in {self}");
    }

    #[track_caller]
    pub(crate) fn assert_lacks(&self, part: &str) {
        assert!(!self.text.contains(part), "{part:?} in {self}");
    }

    /// Asserts that the response must not be cached.
    #[track_caller]
    pub(crate) fn assert_not_cached(&self) {
        assert_eq!(self.header("cache-control"), "no-store", "{self}");
        assert_eq!(self.header("etag"), "", "{self}");
    }

    #[track_caller]
    fn check_metadata(&self) {
        let metadata = &self.body["metadata"];
        assert_eq!(metadata["trace_id"], self.header("x-request-id"), "{self}");

        let timestamp = metadata["timestamp"].as_str();
        assert!(timestamp.is_some_and(|time| time.ends_with('Z')), "{self}");
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} answered {} {}",
            self.request, self.status, self.text
        )
    }
}
