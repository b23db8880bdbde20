//! HTTP to an exchange: how long a call may take, and how much it may answer.

pub(super) use crate::outgoing::{Answered, Trouble};
use crate::outgoing::{Limits, Outgoing};
use bytes::Bytes;
use poem::http::{HeaderValue, Request, header};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Longest answer that is read: an account with thousands of assets stays below it.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is sent.
pub(super) type Body = Bytes;

/// Sends requests.
pub(super) struct Http {
    outgoing: Outgoing,
    limits: Limits,
}

impl Http {
    /// Calls that each end within `time`.
    pub(super) fn new(outgoing: Outgoing, time: Duration) -> Self {
        Self {
            outgoing,
            limits: Limits {
                time,
                bytes: ANSWER_BYTES_MAX,
            },
        }
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Answered, Trouble> {
        self.outgoing.send(request, self.limits).await
    }
}

/// A secret as a header that is never shown.
pub(super) fn secret_header(
    secret: &SecretString,
) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose_secret())?;
    value.set_sensitive(true);
    Ok(value)
}
