//! Settings of the live stream.

use std::time::Duration;
use tiris_runtime::config::NatsConfig;

/// Well below the time after which proxies and we ourselves give up a silent connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// While nothing wakes streams.
const LOOK_ALONE: Duration = Duration::from_secs(2);
/// While messages wake them, of which one may get lost.
const LOOK_WOKEN: Duration = Duration::from_secs(12);

/// How live streams are woken, and how often they look and show life without.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// What wakes them; without it they look by themselves.
    pub nats: Option<NatsConfig>,
    /// How often a comment shows that a stream is alive.
    pub heartbeat: Duration,
    /// How often a stream looks into the database while nothing wakes it.
    pub look_alone: Duration,
    /// How often it looks while messages wake it.
    pub look_woken: Duration,
}

impl LiveSettings {
    /// Streams woken by these servers, if any.
    #[must_use]
    pub fn new(nats: Option<NatsConfig>) -> Self {
        Self {
            nats,
            heartbeat: HEARTBEAT,
            look_alone: LOOK_ALONE,
            look_woken: LOOK_WOKEN,
        }
    }
}
