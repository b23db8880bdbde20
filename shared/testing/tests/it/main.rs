//! Tests of the harness: isolation, restarts, and that nothing outlives its owner.

mod databases;
mod nats;
mod parameters;
mod postgres;
mod processes;
mod victim;

use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
