//! What the service is and whether it works.

mod get;
mod live;
mod ready;

use super::operations;
use get::GetService;
use live::GetLive;
use ready::GetReady;

operations!(GetService, GetLive, GetReady);
