//! What the service is and whether it works.

use super::Tag;
use super::refusals::{Alive, Health, Open};
use crate::envelope::{Answer, Reply};
use crate::error::Problem;
use crate::state::State;
use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;

/// Operations on the service itself.
pub(crate) struct Root;

/// Where to go on.
#[derive(Object, Serialize)]
struct Links {
    /// Swagger UI
    docs: String,
    /// OpenAPI document
    openapi: String,
    /// Whether the process runs and is ready
    health: String,
    /// Public keys of access tokens
    jwks: String,
}

/// What the service is.
#[derive(Object, Serialize)]
struct Service {
    /// Name
    name: String,
    /// Version of the running build
    version: String,
    links: Links,
}

/// The process runs.
#[derive(Object, Serialize)]
struct Live {
    /// Always true
    live: bool,
}

/// The process can do its work.
#[derive(Object, Serialize)]
struct Ready {
    /// Always true; else the answer is an error with status 503
    ready: bool,
    /// Names of the checks that were made
    checks: Vec<String>,
    /// What each of them found, such as providers that are not configured
    notes: Vec<String>,
}

#[OpenApi(tag = "Tag::Service")]
impl Root {
    /// Name, version and links
    #[oai(path = "/", method = "get", operation_id = "getService")]
    async fn service(&self) -> Answer<Service, Open> {
        Ok(Reply::new(Service {
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

    /// Whether the process runs
    #[oai(path = "/health/live", method = "get", operation_id = "getLive")]
    async fn live(&self) -> Answer<Live, Alive> {
        Ok(Reply::new(Live { live: true }))
    }

    /// Whether the process can do its work now
    #[oai(path = "/health/ready", method = "get", operation_id = "getReady")]
    async fn ready(&self, state: Data<&State>) -> Answer<Ready, Health> {
        let report = state.health.run().await;
        let failing: Vec<&str> = report.failing().map(|(name, _)| name).collect();
        if !failing.is_empty() {
            return Err(Problem::NotReady(failing.join(", ")).into());
        }
        let notes = report.found.iter().map(|(name, found)| {
            let (Ok(detail) | Err(detail)) = &found.result;
            format!("{name}: {detail}")
        });
        let checks = report.found.keys().map(|name| (*name).to_owned()).collect();
        Ok(Reply::new(Ready {
            ready: true,
            checks,
            notes: notes.collect(),
        }))
    }
}
