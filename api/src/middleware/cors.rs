//! Which web pages may call the API from a browser.
//!
//! Owns: preflights and the CORS headers. Must not know: what is asked. A request from an unknown origin is answered
//! without CORS headers, so that the browser keeps the answer from the page; pages of our own origin need none.
//!
//! The framework's `Cors` answers every origin that is not listed with 403, also what Swagger UI sends to its own server,
//! because browsers name the origin there, too; and it replaces the `Vary` of an answer, which makes caches mix CSV and
//! JSON.

use poem::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use poem::http::{HeaderValue, Method, StatusCode};
use poem::{Endpoint, Request, Response, Result};
use std::sync::Arc;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, \
    X-Request-ID, traceparent";
const EXPOSED: &str = "ETag, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID, \
    Idempotency-Replayed";
/// Seconds a browser may remember a preflight.
const MAX_AGE: &str = "7200";
/// What a developer's pages are served from.
const LOCAL: [&str; 2] = ["http://localhost", "http://127.0.0.1"];

/// The origins that may call.
#[derive(Clone)]
pub(crate) struct Cors {
    origins: Arc<[String]>,
    local: bool,
}

impl Cors {
    /// These origins, and with `local` every port of this machine.
    pub(crate) fn new(origins: &[String], local: bool) -> Self {
        Self {
            origins: origins.into(),
            local,
        }
    }

    fn allows(&self, origin: &str) -> bool {
        let is_port = |rest: &str| {
            let port = rest.strip_prefix(':');
            rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok())
        };
        let is_local = |host: &&str| origin.strip_prefix(host).is_some_and(is_port);

        self.origins.iter().any(|known| known == origin)
            || (self.local && LOCAL.iter().any(is_local))
    }

    /// Answers preflights, and adds the headers to what `next` answers.
    pub(crate) async fn apply<E: Endpoint<Output = Response>>(
        self,
        next: Arc<E>,
        request: Request,
    ) -> Result<Response> {
        let Some(origin) = request.headers().get(ORIGIN).cloned() else {
            return next.call(request).await;
        };

        let is_allowed = origin.to_str().is_ok_and(|origin| self.allows(origin));
        let is_preflight = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = if is_preflight {
            Response::builder().status(StatusCode::NO_CONTENT).finish()
        } else {
            next.call(request).await?
        };

        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if !is_allowed {
            return Ok(response);
        }

        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        if is_preflight {
            set(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            set(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            set(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        } else {
            set(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_origins_and_on_a_developers_machine_its_ports_are_allowed() {
        let origins = ["https://tiris.ai".to_owned()];
        let strict = Cors::new(&origins, false);
        let local = Cors::new(&origins, true);

        assert!(strict.allows("https://tiris.ai"));
        assert!(!strict.allows("http://localhost:3000"));
        assert!(local.allows("http://localhost:3000") && local.allows("http://127.0.0.1"));
        for wrong in [
            "https://tiris.ai.evil.com",
            "http://localhost.evil.com",
            "http://localhost:3000.evil.com",
            "null",
        ] {
            assert!(!local.allows(wrong), "{wrong}");
        }
    }
}
