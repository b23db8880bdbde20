//! `GET /`, `GET /health/live` and `GET /health/ready`

use super::prelude::*;
use crate::http::problem::Problem;

operation!(GetService: Public, General, []);

pub(crate) struct GetLive;

impl Policy for GetLive {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = None;
    const REFUSALS: &'static [Refusal] = &[];
}

pub(crate) struct GetReady;

impl Policy for GetReady {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = None;
    const REFUSALS: &'static [Refusal] = &[(
        503,
        "`SERVICE_UNAVAILABLE`: a check fails; `details` names it",
    )];
}

pub(super) fn operations() -> impl OpenApi {
    (GetService, GetLive, GetReady)
}

/// Paths of other documents of the service.
#[derive(Object, Serialize)]
struct Links {
    /// Path of Swagger UI
    docs: String,
    /// Path of the OpenAPI document
    openapi: String,
    /// Path of the readiness check
    health: String,
    /// Path of the public keys that verify access tokens (JWKS)
    jwks: String,
}

/// The running service.
#[derive(Object, Serialize)]
struct Service {
    /// Name of the service
    name: String,
    /// Version of the running build
    version: String,
    /// Paths of other documents
    links: Links,
}

/// The process runs.
#[derive(Object, Serialize)]
struct Live {
    /// Always true
    live: bool,
}

/// The service is ready.
#[derive(Object, Serialize)]
struct Ready {
    /// Always true; a service that is not ready responds with status 503
    ready: bool,
    /// Names of the checks
    checks: Vec<String>,
    /// Findings of the checks, such as identity providers that are not configured
    notes: Vec<String>,
}

#[OpenApi(tag = "Tag::Service")]
impl GetService {
    /// Get the version and links of the service
    ///
    /// No token is needed. The links lead to Swagger UI, the OpenAPI document, the readiness check and the public keys.
    #[oai(path = "/", method = "get", operation_id = "getService")]
    async fn get(&self, _caller: Anyone<Self>) -> Answer<Service, Self> {
        Ok(Reply::read(Service {
            name: "Tiris API".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            links: Links {
                docs: "/docs".to_owned(),
                openapi: "/openapi.json".to_owned(),
                health: "/health/ready".to_owned(),
                jwks: "/.well-known/jwks.json".to_owned(),
            },
        }))
    }
}

#[OpenApi(tag = "Tag::Service")]
impl GetLive {
    /// Check that the process runs
    ///
    /// Always succeeds while the process handles requests. Not rate-limited.
    #[oai(path = "/health/live", method = "get", operation_id = "getLive")]
    async fn get(&self, _caller: Anyone<Self>) -> Answer<Live, Self> {
        Ok(Reply::read(Live { live: true }))
    }
}

#[OpenApi(tag = "Tag::Service")]
impl GetReady {
    /// Check that the service is ready for requests
    ///
    /// Runs all health checks. A failing required check, such as the database, gives status 503; an optional one, such
    /// as NATS, is only listed in `notes`. Not rate-limited.
    #[oai(path = "/health/ready", method = "get", operation_id = "getReady")]
    async fn get(&self, _caller: Anyone<Self>, state: Data<&State>) -> Answer<Ready, Self> {
        let report = state.health.run_shared().await;

        let failing: Vec<&str> = report.failing().map(|(name, _)| name).collect();
        if !failing.is_empty() {
            return Err(Problem::NotReady(failing.join(", ")).into());
        }

        let found = report.found.iter();
        let notes = found.map(|(name, found)| format!("{name}: {}", found.detail));
        let checks = report.found.keys().map(|name| (*name).to_owned());
        Ok(Reply::read(Ready {
            ready: true,
            checks: checks.collect(),
            notes: notes.collect(),
        }))
    }
}
