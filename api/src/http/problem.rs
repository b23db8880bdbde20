//! The only mapping from errors to HTTP: status, stable code, message for a user, details for a developer.

use super::details::Details;
use crate::exchange::ExchangeError;
use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError, ResponseError};
use poem::http::StatusCode;
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};
use tiris_domain::ledger::{Rejected, Rejection};
use tiris_store::error::Error;

/// By then the server has noticed a client that disappeared without closing its connection.
const SLOT_RETRY_SECONDS: u32 = 15;
/// By then a connection is often free again, or the database is back.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

const ACCOUNT_DISABLED: &str = "Your account is disabled.";

/// Any failure of a request; displayed as a sentence for a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Domain(#[from] Error),
    /// An exchange did not say whether it accepts credentials.
    #[error("{}", exchange_message(.0))]
    Exchange(#[from] ExchangeError),
    #[error("This path does not exist.")]
    UnknownRoute,
    #[error("This method is not allowed here.")]
    MethodNotAllowed,
    /// Holds the limit in bytes.
    #[error("The request is too large.")]
    BodyTooLarge(usize),
    /// Holds the given media type.
    #[error("The media type of the request is not supported.")]
    UnsupportedMediaType(String),
    #[error("Too many requests. Please wait a moment.")]
    RateLimited {
        /// Requests a minute.
        limit: u32,
        /// Seconds until the next request is allowed.
        seconds: u64,
    },
    #[error("The request took too long. Please try again.")]
    TimedOut,
    /// Names the readiness checks that fail.
    #[error("The service is not ready.")]
    NotReady(String),
}

impl Problem {
    /// Returns the stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// Returns a sentence that may be shown to a user.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Domain(error) => message(error),
            other => other.to_string(),
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Domain(error) => status_and_code(error),
            Self::Exchange(ExchangeError::Unsupported(_)) => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST")
            }
            Self::Exchange(ExchangeError::Unreachable(_)) => {
                (StatusCode::BAD_GATEWAY, "EXCHANGE_ERROR")
            }
            Self::Exchange(ExchangeError::TimedOut) => {
                (StatusCode::GATEWAY_TIMEOUT, "UPSTREAM_TIMEOUT")
            }
            Self::UnknownRoute => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE"),
            Self::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE")
            }
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
            Self::TimedOut | Self::NotReady(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE")
            }
        }
    }

    /// Returns details for a developer: which field, which limit, or the account that the ledger names.
    pub(crate) fn details(&self) -> Option<Details> {
        match self {
            Self::Domain(Error::Rejected(rejected)) => {
                let details = rejected.details()?;
                Some(Details::Rejection(details.into()))
            }
            Self::Domain(error) => details(error).map(Details::Text),
            other => other.words().map(Details::Text),
        }
    }

    /// Returns the details of a problem that is not of the domain.
    fn words(&self) -> Option<String> {
        Some(match self {
            Self::Domain(_) | Self::TimedOut => return None,
            Self::Exchange(error @ ExchangeError::Unsupported(_)) => error.to_string(),
            Self::Exchange(ExchangeError::Unreachable(_) | ExchangeError::TimedOut) => {
                "the binding is stored; its credentials are unverified".to_owned()
            }
            Self::UnknownRoute => "see /docs for all routes".to_owned(),
            Self::MethodNotAllowed => "the header Allow lists the allowed methods".to_owned(),
            Self::BodyTooLarge(limit) => format!("the body may have at most {limit} bytes"),
            Self::UnsupportedMediaType(given) => {
                format!("Content-Type must be application/json (given: {given})")
            }
            Self::RateLimited { limit, seconds } => {
                format!("at most {limit} requests of this kind a minute; retry in {seconds} s")
            }
            Self::NotReady(which) => format!("failing: {which}"),
        })
    }

    /// Returns the seconds until a retry makes sense.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        match self {
            Self::Domain(Error::TooManyAtOnce { .. }) => Some(SLOT_RETRY_SECONDS),
            Self::TimedOut
            | Self::NotReady(_)
            | Self::Domain(Error::DatabaseUnavailable(_) | Error::Unavailable { .. }) => {
                Some(UNAVAILABLE_RETRY_SECONDS)
            }
            _ => None,
        }
    }
}

fn exchange_message(error: &ExchangeError) -> &'static str {
    match error {
        ExchangeError::Unsupported(_) => "These credentials cannot be verified.",
        ExchangeError::Unreachable(_) => "The exchange could not be reached. Please try again.",
        ExchangeError::TimedOut => "The exchange did not answer in time. Please try again.",
    }
}

/// Returns the stable code of an error of the domain.
pub(crate) fn code_of(error: &Error) -> &'static str {
    status_and_code(error).1
}

fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "INVALID_REQUEST"),
        Error::MissingField(_) => (StatusCode::BAD_REQUEST, "MISSING_FIELD"),
        Error::InvalidValue { .. } => (StatusCode::BAD_REQUEST, "INVALID_VALUE"),
        Error::InvalidInfo(_) => (StatusCode::BAD_REQUEST, "INVALID_INFO_STRUCTURE"),
        Error::SignIn { problem, .. } => (StatusCode::BAD_REQUEST, problem.code()),
        Error::AuthRequired => (StatusCode::UNAUTHORIZED, "AUTH_REQUIRED"),
        Error::InvalidToken(_) => (StatusCode::UNAUTHORIZED, "INVALID_TOKEN"),
        Error::AccessDenied(_) => (StatusCode::FORBIDDEN, "ACCESS_DENIED"),
        Error::AccountDisabled => (StatusCode::FORBIDDEN, "ACCOUNT_DISABLED"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Error::Rejected(rejected) => status_of(rejected.rejection),
        Error::Conflict(conflict) => (StatusCode::CONFLICT, conflict.code()),
        Error::QuotaExceeded { .. } => (StatusCode::CONFLICT, "QUOTA_EXCEEDED"),
        Error::TooManyAtOnce { .. } => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        Error::StaleVersion => (StatusCode::PRECONDITION_FAILED, "STALE_VERSION"),
        Error::UpstreamTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "UPSTREAM_TIMEOUT"),
        Error::DatabaseUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "DATABASE_UNAVAILABLE"),
        Error::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
        Error::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

fn status_of(rejection: Rejection) -> (StatusCode, &'static str) {
    match rejection {
        Rejection::UserDisabled => (StatusCode::FORBIDDEN, "ACCOUNT_DISABLED"),
        // Handlers check what a request names, so a missing resource was deleted in the meantime.
        Rejection::UserDeleted
        | Rejection::TradingDeleted
        | Rejection::AccountDeleted
        | Rejection::UnknownUser
        | Rejection::UnknownTrading
        | Rejection::UnknownSubAccount => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        rejection => (StatusCode::UNPROCESSABLE_ENTITY, rejection.code()),
    }
}

fn rejection_message(rejected: &Rejected) -> String {
    let message = match rejected.rejection {
        Rejection::UserDeleted | Rejection::UnknownUser => "This user does not exist.",
        Rejection::TradingDeleted | Rejection::UnknownTrading => "This trading does not exist.",
        Rejection::AccountDeleted | Rejection::UnknownSubAccount => {
            "This sub-account does not exist."
        }
        Rejection::UserDisabled => ACCOUNT_DISABLED,
        _ => return sentence(&rejected.to_string()),
    };
    message.to_owned()
}

fn message(error: &Error) -> String {
    let message = match error {
        Error::MissingField(field) => return format!("The field {field} is missing."),
        Error::InvalidValue { field, .. } => return format!("The field {field} is not valid."),
        Error::SignIn { problem, .. } => return sentence(&problem.to_string()),
        Error::NotFound(what) => return format!("This {what} does not exist."),
        Error::Rejected(rejected) => return rejection_message(rejected),
        Error::AccountDisabled => ACCOUNT_DISABLED,
        Error::Conflict(conflict) => return sentence(&conflict.to_string()),
        Error::InvalidRequest(_) => "The request is not valid.",
        Error::InvalidInfo(_) => "The additional information cannot be stored as it is.",
        Error::AuthRequired => "Please sign in.",
        Error::InvalidToken(_) => "Please sign in again.",
        Error::AccessDenied(_) => "You may not do this.",
        Error::QuotaExceeded { .. } => {
            "You have as many of these as you may have. Please delete some first."
        }
        Error::TooManyAtOnce { .. } => {
            "You run too many of these at once. Please wait until one ends."
        }
        Error::StaleVersion => "This was changed in the meantime. Please load it again.",
        Error::UpstreamTimeout(_) => "Another service did not answer in time. Please try again.",
        Error::DatabaseUnavailable(_) | Error::Unavailable { .. } => {
            "The service is temporarily unavailable. Please try again."
        }
        Error::Internal(_) => "Something went wrong on our side.",
    };
    message.to_owned()
}

fn details(error: &Error) -> Option<String> {
    Some(match error {
        Error::InvalidRequest(why) | Error::InvalidInfo(why) | Error::SignIn { why, .. } => {
            why.clone()
        }
        Error::MissingField(field) => format!("{field} is required"),
        Error::InvalidValue { field, why } => format!("{field} {why}"),
        Error::AuthRequired => "send the header Authorization: Bearer <access token>".to_owned(),
        Error::InvalidToken(why) => format!("the token is not valid: {why}"),
        Error::AccessDenied(why) => (*why).to_owned(),
        Error::QuotaExceeded { what, limit, count } => {
            format!("a user may have at most {limit} {what}, and has {count}")
        }
        Error::TooManyAtOnce { what, max } => {
            format!("a user may have at most {max} {what} at once; wait until one ends")
        }
        Error::StaleVersion => "If-Match does not name the current ETag".to_owned(),
        Error::UpstreamTimeout(what) => format!("no answer from {what}"),
        Error::AccountDisabled
        | Error::NotFound(_)
        | Error::Conflict(_)
        | Error::Rejected(_)
        | Error::DatabaseUnavailable(_)
        | Error::Unavailable { .. }
        | Error::Internal(_) => return None,
    })
}

/// Turns a lower-case clause into a sentence.
fn sentence(clause: &str) -> String {
    let mut rest = clause.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest).chain(['.']).collect()
}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status_and_code().0
    }
}

/// Strips the names of the framework's types from its reason.
fn plain(reason: &str) -> &str {
    let reason = reason
        .split(" (occurred while parsing")
        .next()
        .unwrap_or(reason);
    reason
        .strip_prefix("failed to parse ")
        .and_then(|rest| rest.split_once("\": "))
        .map_or(reason, |(_, why)| why)
}

/// Translates a refusal by the framework, which happens before a handler runs.
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
        return Error::invalid(error.name, plain(&error.reason)).into();
    }
    if error.is::<ParsePathError>() {
        return Error::invalid("id", "in the path must be a UUID").into();
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
    Error::internal(error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_every_rejection_to_a_status_and_a_sentence() {
        for rejection in Rejection::ALL {
            let (status, code) = match rejection.code() {
                "USER_DISABLED" => (403, "ACCOUNT_DISABLED"),
                "USER_DELETED" | "TRADING_DELETED" | "ACCOUNT_DELETED" => (404, "NOT_FOUND"),
                _ if rejection.is_unresolved() => (404, "NOT_FOUND"),
                code => (422, code),
            };

            let problem = Problem::from(Error::from(rejection));

            assert_eq!(problem.status().as_u16(), status);
            assert_eq!(problem.code(), code);
            let message = problem.message();
            assert!(message.starts_with(char::is_uppercase), "{message}");
            assert!(message.ends_with('.'), "{message}");
        }
    }

    #[test]
    fn hides_type_names_of_the_framework() {
        let reason = r#"failed to parse "integer_uint64": invalid digit (occurred while parsing "optional_integer_uint64")"#;
        assert_eq!(plain(reason), "invalid digit");
        assert_eq!(plain("something else"), "something else");
    }
}
