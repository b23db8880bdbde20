//! The connection to NATS, with the settings that notice a dead peer in seconds.
//!
//! Owns: connect options. Must not know: subjects, streams.

use crate::config::NatsConfig;
use crate::error::{Error, Result};
use std::time::Duration;

/// A peer that answers no ping for two intervals is dead.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connect options every user of NATS starts from.
pub async fn options(config: &NatsConfig, name: &str) -> Result<async_nats::ConnectOptions> {
    let options = match &config.credentials_file {
        Some(file) => async_nats::ConnectOptions::with_credentials_file(file)
            .await
            .map_err(|error| Error::Unavailable { what: "NATS credentials file", source: error.into() })?,
        None => async_nats::ConnectOptions::new(),
    };
    Ok(options.name(name).ping_interval(PING_INTERVAL).connection_timeout(CONNECT_TIMEOUT))
}
