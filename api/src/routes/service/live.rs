//! `GET /health/live`

use crate::routes::prelude::*;

/// Check that the process runs.
pub(crate) struct GetLive;

impl Policy for GetLive {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = None;
    const REFUSALS: &'static [Refusal] = &[];
}

/// The process runs.
#[derive(Object, Serialize)]
struct Live {
    /// Always true
    live: bool,
}

#[OpenApi(tag = "Tag::Service")]
impl GetLive {
    /// Whether the process runs
    #[oai(path = "/health/live", method = "get", operation_id = "getLive")]
    async fn get(&self, _caller: Anyone<Self>) -> Answer<Live, Self> {
        Ok(Reply::read(Live { live: true }))
    }
}
