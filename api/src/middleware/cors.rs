//! Preflights and CORS headers. A response to an unknown origin has no CORS headers, so the browser hides it from the page;
//! pages of the same origin need none.
//!
//! The framework's `Cors` refuses every unlisted origin with 403, including requests of Swagger UI to its own server,
//! which also name their origin; and it replaces the `Vary` of a response, so that caches would mix CSV and JSON.

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
/// Seconds that a browser may cache a preflight.
const MAX_AGE: &str = "7200";
/// The origins of local development.
const LOCAL: [&str; 2] = ["http://localhost", "http://127.0.0.1"];

/// The allowed origins.
#[derive(Clone)]
pub(crate) struct Cors {
    origins: Arc<[String]>,
    local: bool,
}

impl Cors {
    /// Allows these origins, and with `local` every port of this machine.
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

    /// Responds to preflights, and adds the headers to responses of `next`.
    pub(crate) async fn apply<E: Endpoint<Output = Response>>(
        self,
        next: Arc<E>,
        request: Request,
    ) -> Result<Response> {
        let Some(origin) = request.headers().get(ORIGIN).cloned() else {
            return next.call(request).await;
        };

        let is_allowed = origin.to_str().is_ok_and(|origin| self.allows(origin));
        let requested = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD);
        let is_preflight = request.method() == Method::OPTIONS && requested.is_some();
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
    fn allows_listed_origins_and_local_ports_in_development() {
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
