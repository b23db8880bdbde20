//! The only mapping from what can go wrong to HTTP: status, stable code, words for a person, details for a developer.
//!
//! Owns: every status and code. Must not know: routes and handlers.

use crate::exchange::ExchangeError;
use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::StatusCode;
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};
use tiris_domain::ledger::Rejection;
use tiris_store::error::Error;

/// By then a client that went without a word has been noticed.
const PLACE_RETRY_SECONDS: u32 = 15;
/// By then a connection is often free again, or the database is back.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

/// Everything a request can be answered with instead of success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// The domain's own errors.
    #[error(transparent)]
    Domain(#[from] Error),
    /// An exchange did not say whether it accepts credentials.
    #[error("the exchange was asked in vain")]
    Exchange(#[from] ExchangeError),
    /// A parameter is wrong; which one and why.
    #[error("invalid parameter {0}")]
    InvalidParameter(String),
    /// There is no such route.
    #[error("no such route")]
    UnknownRoute,
    /// The route does not know the method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The body is longer than the limit, in bytes.
    #[error("body longer than {0} bytes")]
    BodyTooLarge(usize),
    /// The body is not what the operation reads; what was given.
    #[error("unsupported media type {0}")]
    UnsupportedMediaType(String),
    /// The caller has used up its allowance: requests a minute, and seconds until the next one is allowed.
    #[error("more than {limit} requests a minute")]
    RateLimited {
        /// Requests a minute.
        limit: u32,
        /// Seconds until one more is allowed.
        seconds: u64,
    },
    /// The request took longer than it may.
    #[error("the request took too long")]
    TimedOut,
    /// The caller has as many of something long under way as one may have; what, and how many.
    #[error("too many {what} at once")]
    TooManyAtOnce { what: &'static str, most: usize },
    /// A check of readiness fails; which ones.
    #[error("not ready: {0}")]
    NotReady(String),
}

/// How a problem is told to the caller.
pub(crate) struct Told {
    /// The status.
    pub(crate) status: StatusCode,
    /// The stable code.
    pub(crate) code: &'static str,
    /// Fit to show to a person.
    pub(crate) message: String,
    /// For a developer: which field, which limit.
    pub(crate) details: Option<String>,
    /// Seconds after which it is worth trying again.
    pub(crate) retry_after: Option<u32>,
}

impl Told {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    fn with(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    fn after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl Problem {
    /// Status, code and words of this problem.
    pub(crate) fn tell(&self) -> Told {
        match self {
            Self::Domain(error) => tell_domain(error),
            Self::Exchange(error) => tell_exchange(error),
            Self::InvalidParameter(which) => Told::new(
                StatusCode::BAD_REQUEST,
                "INVALID_VALUE",
                "A parameter is not valid.",
            )
            .with(which.clone()),
            Self::UnknownRoute => {
                Told::new(StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here.")
                    .with("see /docs for all routes")
            }
            Self::MethodNotAllowed => Told::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "METHOD_NOT_ALLOWED",
                "This cannot be done here.",
            )
            .with("the route exists, but not with this method"),
            Self::BodyTooLarge(limit) => Told::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                "The request is too large.",
            )
            .with(format!("the body may have at most {limit} bytes")),
            Self::UnsupportedMediaType(given) => Told::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "The request is not in a form this service reads.",
            )
            .with(format!(
                "Content-Type must be application/json (given: {given})"
            )),
            Self::RateLimited { limit, seconds } => Told::new(
                StatusCode::TOO_MANY_REQUESTS,
                "RATE_LIMITED",
                "Too many requests. Please wait a moment.",
            )
            .with(format!(
                "at most {limit} requests of this kind a minute; the next one in {seconds} s"
            )),
            Self::TimedOut => Told::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The request took too long. Please try again.",
            )
            .after(UNAVAILABLE_RETRY_SECONDS),
            Self::TooManyAtOnce { what, most } => Told::new(
                StatusCode::TOO_MANY_REQUESTS,
                "RATE_LIMITED",
                "You do this too often at once.",
            )
            .with(format!(
                "a user may have at most {most} {what} of a process at once"
            ))
            .after(PLACE_RETRY_SECONDS),
            Self::NotReady(which) => Told::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The service is not ready.",
            )
            .with(format!("failing: {which}"))
            .after(UNAVAILABLE_RETRY_SECONDS),
        }
    }
}

fn tell_exchange(error: &ExchangeError) -> Told {
    const KEPT: &str = "the binding is kept; its credentials are unverified";
    match error {
        ExchangeError::Unsupported(_) => Told::new(
            StatusCode::BAD_REQUEST,
            "INVALID_REQUEST",
            "These credentials cannot be verified.",
        )
        .with(error.to_string()),
        ExchangeError::Unreachable(_) => Told::new(
            StatusCode::BAD_GATEWAY,
            "EXCHANGE_ERROR",
            "The exchange could not be asked. Please try again.",
        )
        .with(KEPT),
        ExchangeError::TimedOut => Told::new(
            StatusCode::GATEWAY_TIMEOUT,
            "UPSTREAM_TIMEOUT",
            "The exchange did not answer in time. Please try again.",
        )
        .with(KEPT),
    }
}

/// How an error of the domain is told.
pub(crate) fn tell_domain(error: &Error) -> Told {
    match error {
        Error::InvalidRequest(why) => {
            bad_request("INVALID_REQUEST", "The request is not valid.").with(why.clone())
        }
        Error::MissingField(field) => {
            bad_request("MISSING_FIELD", format!("The field {field} is missing."))
                .with(format!("{field} is required"))
        }
        Error::InvalidValue { field, why } => {
            bad_request("INVALID_VALUE", format!("The field {field} is not valid."))
                .with(format!("{field} {why}"))
        }
        Error::InvalidInfo(why) => bad_request(
            "INVALID_INFO_STRUCTURE",
            "The additional information cannot be stored as it is.",
        )
        .with(why.clone()),
        Error::AuthRequired => {
            Told::new(StatusCode::UNAUTHORIZED, "AUTH_REQUIRED", "Please sign in.")
                .with("send the header Authorization: Bearer <access token>")
        }
        Error::InvalidToken(why) => Told::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_TOKEN",
            "Please sign in again.",
        )
        .with(format!("the token is not valid: {why}")),
        Error::AccessDenied(why) => Told::new(
            StatusCode::FORBIDDEN,
            "ACCESS_DENIED",
            "You may not do this.",
        )
        .with(*why),
        Error::AccountDisabled => account_disabled(),
        Error::NotFound(what) => Told::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("This {what} does not exist."),
        ),
        Error::Conflict(conflict) => Told::new(
            StatusCode::CONFLICT,
            conflict.code(),
            capitalized(conflict.to_string()),
        ),
        Error::StaleVersion => Told::new(
            StatusCode::PRECONDITION_FAILED,
            "STALE_VERSION",
            "This was changed meanwhile. Please load it again.",
        )
        .with("If-Match does not name the current ETag"),
        Error::Rejected(rejection) => tell_rejection(*rejection),
        Error::SignIn { problem, why } => {
            bad_request(problem.code(), capitalized(problem.to_string())).with(why.clone())
        }
        Error::UpstreamTimeout(what) => Told::new(
            StatusCode::GATEWAY_TIMEOUT,
            "UPSTREAM_TIMEOUT",
            "Another service did not answer in time. Please try again.",
        )
        .with(format!("no answer from {what}")),
        Error::DatabaseUnavailable(_) => unavailable("DATABASE_UNAVAILABLE"),
        Error::Unavailable { .. } => unavailable("SERVICE_UNAVAILABLE"),
        Error::Internal(_) => Told::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "Something went wrong on our side.",
        ),
    }
}

fn bad_request(code: &'static str, message: impl Into<String>) -> Told {
    Told::new(StatusCode::BAD_REQUEST, code, message)
}

fn unavailable(code: &'static str) -> Told {
    let message = "The service cannot work at the moment. Please try again.";
    Told::new(StatusCode::SERVICE_UNAVAILABLE, code, message).after(UNAVAILABLE_RETRY_SECONDS)
}

/// Refusals of the ledger are 422 with their own code; but who and what is named was checked before, so what is
/// unknown now vanished meanwhile.
fn tell_rejection(rejection: Rejection) -> Told {
    match rejection {
        Rejection::UnknownUser => tell_domain(&Error::NotFound("user")),
        Rejection::UnknownTrading => tell_domain(&Error::NotFound("trading")),
        Rejection::UnknownSubAccount => tell_domain(&Error::NotFound("sub-account")),
        Rejection::UserDisabled => account_disabled(),
        Rejection::OwnershipMismatch
        | Rejection::SymbolMismatch
        | Rejection::SameAccount
        | Rejection::InvalidAmount
        | Rejection::TooManyDecimals
        | Rejection::InsufficientBalance
        | Rejection::UnlockExceedsLocked
        | Rejection::AmountOutOfRange => Told::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            rejection.code(),
            capitalized(rejection.to_string()),
        ),
    }
}

fn account_disabled() -> Told {
    Told::new(
        StatusCode::FORBIDDEN,
        "ACCOUNT_DISABLED",
        "Your account is disabled.",
    )
}

/// A lower-case clause as a sentence.
fn capitalized(clause: String) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .chain(['.'])
        .collect()
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.tell().status
    }
}

/// The reason the framework gives without the names of its types around it.
fn plain(reason: &str) -> &str {
    let reason = reason
        .split(" (occurred while parsing")
        .next()
        .unwrap_or(reason);
    match reason
        .strip_prefix("failed to parse ")
        .and_then(|rest| rest.split_once("\": "))
    {
        Some((_, why)) => why,
        None => reason,
    }
}

/// What the framework refuses before a handler runs, in our words.
pub(crate) fn from_framework(error: poem::Error) -> Problem {
    let error = match error.downcast::<Problem>() {
        Ok(problem) => return problem,
        Err(other) => other,
    };

    if error.is::<AuthorizationError>() {
        return Error::AuthRequired.into();
    }
    if error.is::<NotFoundError>() {
        return Problem::UnknownRoute;
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::MethodNotAllowed;
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Problem::InvalidParameter(format!("{}: {}", error.name, plain(&error.reason)));
    }
    if error.is::<ParsePathError>() {
        return Problem::InvalidParameter("the id in the path must be a UUID".to_owned());
    }
    if let Some(error) = error.downcast_ref::<ContentTypeError>() {
        return Problem::UnsupportedMediaType(match error {
            ContentTypeError::NotSupported { content_type } => content_type.clone(),
            ContentTypeError::ExpectContentType => "none".to_owned(),
        });
    }

    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return Error::InvalidRequest(error.reason.clone()).into();
    }
    if error.is::<ReadBodyError>() {
        return Error::InvalidRequest("the body could not be read to its end".to_owned()).into();
    }
    if error.status().is_client_error() {
        return Error::InvalidRequest(error.to_string()).into();
    }
    Error::internal(format!("{error}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_has_a_status_of_its_own_kind_and_a_sentence() {
        for rejection in Rejection::ALL {
            let told = Problem::from(Error::Rejected(rejection)).tell();
            let (status, code) = match rejection.code() {
                "USER_DISABLED" => (403, "ACCOUNT_DISABLED"),
                _ if rejection.is_unresolved() => (404, "NOT_FOUND"),
                code => (422, code),
            };
            assert_eq!(told.status.as_u16(), status);
            assert_eq!(told.code, code);

            let message = &told.message;
            assert!(message.starts_with(char::is_uppercase), "{message}");
            assert!(message.ends_with('.'), "{message}");
        }
    }

    #[test]
    fn the_names_of_the_frameworks_types_are_kept_from_callers() {
        let reason = r#"failed to parse "integer_uint64": invalid digit (occurred while parsing "optional_integer_uint64")"#;
        assert_eq!(plain(reason), "invalid digit");
        assert_eq!(plain("something else"), "something else");
    }
}
