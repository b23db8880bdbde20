//! The connection to NATS, with the settings that notice a dead peer in seconds, and the one message both services send.
//!
//! Owns: connect options; the subject that wakes live streams. Must not know: streams of JetStream.

use crate::config::NatsConfig;
use crate::trace::{REQUEST_ID, TRACEPARENT, Trace};
use anyhow::{Context, Result};
use async_nats::connection::State;
use async_nats::{Client, HeaderMap, HeaderValue};
use futures_util::FutureExt;
use std::time::Duration;
use tiris_domain::ids::UserId;

/// A peer that answers no ping for two intervals is dead.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Traces that are named to live streams at once.
const TRACES_MAX: usize = 16;

/// Connect options every user of NATS starts from.
pub async fn options(config: &NatsConfig, name: &str) -> Result<async_nats::ConnectOptions> {
    let options = match &config.credentials_file {
        Some(file) => async_nats::ConnectOptions::with_credentials_file(file)
            .await
            .context("NATS credentials file unavailable")?,
        None => login(config).unwrap_or_default(),
    };
    Ok(options
        .name(name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT))
}

/// The client itself passes over what a URL says of users.
fn login(config: &NatsConfig) -> Option<async_nats::ConnectOptions> {
    let server = config
        .servers
        .iter()
        .find(|server| server.has_user_pass())?;
    let user = server.username()?.to_owned();
    let password = server.password().unwrap_or_default().to_owned();
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    Some(options)
}

/// Shows whether the connection is there, and counts its losses.
pub fn gauge_connected(is_connected: bool) {
    metrics::gauge!("nats_connected").set(f64::from(u8::from(is_connected)));
    metrics::counter!("nats_disconnects_total").increment(u64::from(!is_connected));
}

/// Where it is told that something of `user` was committed; the message is empty, its headers name the traces.
#[must_use]
pub fn committed_subject(user: UserId) -> String {
    format!("tiris.committed.{user}")
}

/// The traces a message names, in the order of its headers: the id and the trace context of each.
#[must_use]
pub fn traces_of(headers: Option<&HeaderMap>) -> Vec<Trace> {
    let Some(headers) = headers else {
        return Vec::new();
    };

    let mut contexts = headers.get_all(TRACEPARENT);
    let traces = headers.get_all(REQUEST_ID).map(|id| {
        let context = contexts.next().map(HeaderValue::as_str);
        Trace::of_headers(Some(id.as_str()), context)
    });

    traces.flatten().take(TRACES_MAX).collect()
}

/// Tells live streams that something of `user` was committed, by work for `traces`. It neither waits nor fails: without a
/// connection, or with the client's buffer full, nothing is sent, because streams also look by themselves.
pub fn tell_committed(client: &Client, user: UserId, traces: &[Trace]) {
    if client.connection_state() != State::Connected {
        return;
    }

    let mut headers = HeaderMap::new();
    for trace in traces.iter().take(TRACES_MAX) {
        headers.append(REQUEST_ID, trace.id());
        headers.append(TRACEPARENT, trace.traceparent());
    }

    let sent = client.publish_with_headers(committed_subject(user), headers, Vec::new().into());
    // Outside the runtime's budget, which would end after a hundred users as if the buffer were full.
    if let Some(Err(error)) = tokio::task::unconstrained(sent).now_or_never() {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "live streams are not woken");
    }
}
