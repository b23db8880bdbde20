//! Replays of a time range: ordered here, done by ingest.

mod create;
mod get;
mod list;
mod object;

use super::operations;
use create::ReplayEvents;
use get::GetReplay;
use list::ListReplays;

operations!(ReplayEvents, ListReplays, GetReplay);
