//! Replays of a time range: requested here, run by ingest.

mod create;
mod get;
mod object;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (create::ReplayEvents, get::ListReplays, get::GetReplay)
}
