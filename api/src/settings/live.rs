//! Settings of the live stream.

use std::time::Duration;
use tiris_runtime::config::NatsConfig;

/// Interval of heartbeats, well below the idle timeouts of proxies and of this server.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Interval of polls without NATS.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Interval of polls with NATS, whose messages can get lost.
const POLL_INTERVAL_WITH_NATS: Duration = Duration::from_secs(12);

/// The intervals of live streams, and the NATS servers that wake them.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// Without NATS, streams only poll the database.
    pub nats: Option<NatsConfig>,
    /// Interval of the comments that keep a connection alive.
    pub heartbeat: Duration,
    /// Interval of polls without a connection to NATS.
    pub poll_interval: Duration,
    /// Interval of polls with a connection to NATS.
    pub poll_interval_with_nats: Duration,
}

impl LiveSettings {
    /// Returns the default intervals with these NATS servers.
    #[must_use]
    pub fn new(nats: Option<NatsConfig>) -> Self {
        Self {
            nats,
            heartbeat: HEARTBEAT,
            poll_interval: POLL_INTERVAL,
            poll_interval_with_nats: POLL_INTERVAL_WITH_NATS,
        }
    }
}
