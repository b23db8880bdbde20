//! `GET /health/ready`

use crate::http::problem::Problem;
use crate::routes::prelude::*;

/// Check that the process can do its work.
pub(crate) struct GetReady;

impl Policy for GetReady {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = None;
    const REFUSALS: &'static [Refusal] = &[(
        503,
        "`SERVICE_UNAVAILABLE`: `details` names the failing check",
    )];
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
impl GetReady {
    /// Whether the process can do its work now
    #[oai(path = "/health/ready", method = "get", operation_id = "getReady")]
    async fn get(&self, _caller: Anyone<Self>, state: Data<&State>) -> Answer<Ready, Self> {
        let report = state.health.run().await;

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
