//! The connection to NATS, with settings that detect a dead peer within seconds, and the one message both services
//! publish: that a user's data changed.

use crate::config::NatsConfig;
use crate::trace::{REQUEST_ID, TRACEPARENT, Trace};
use anyhow::{Context, Result};
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, HeaderMap, HeaderValue};
use futures_util::FutureExt;
use std::time::Duration;
use tiris_domain::ids::UserId;

/// A peer that answers no ping for two intervals is dead.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of traces in one message.
const TRACES_MAX: usize = 16;

/// Returns the connect options common to all clients.
pub async fn options(config: &NatsConfig, name: &str) -> Result<ConnectOptions> {
    let options = match &config.credentials_file {
        Some(file) => ConnectOptions::with_credentials_file(file)
            .await
            .context("NATS credentials file unavailable")?,
        None => login(config).unwrap_or_default(),
    };
    Ok(options
        .name(name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(CONNECT_TIMEOUT))
}

/// Takes user and password from the URLs, where the client itself ignores them.
fn login(config: &NatsConfig) -> Option<ConnectOptions> {
    let mut servers = config.servers.iter();
    let server = servers.find(|server| server.has_user_pass())?;
    let user = server.username()?.to_owned();
    let password = server.password().unwrap_or_default().to_owned();
    Some(ConnectOptions::with_user_and_password(user, password))
}

/// Records whether the connection is up, and counts its losses.
pub fn gauge_connected(is_connected: bool) {
    metrics::gauge!("nats_connected").set(f64::from(u8::from(is_connected)));
    metrics::counter!("nats_disconnects_total").increment(u64::from(!is_connected));
}

/// Returns the subject of the message that data of `user` was committed. The message is empty; its headers name the
/// traces.
#[must_use]
pub fn committed_subject(user: UserId) -> String {
    format!("tiris.committed.{user}")
}

/// Returns the traces that the headers of a message name, in their order.
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

/// Notifies live streams that `traces` committed data of `user`. Never waits or fails: without a connection, or with the
/// client's buffer full, nothing is sent, because streams also poll.
pub fn publish_committed(client: &Client, user: UserId, traces: &[Trace]) {
    if client.connection_state() != State::Connected {
        return;
    }

    let mut headers = HeaderMap::new();
    for trace in traces.iter().take(TRACES_MAX) {
        headers.append(REQUEST_ID, trace.id());
        headers.append(TRACEPARENT, trace.traceparent());
    }

    let sent = client.publish_with_headers(committed_subject(user), headers, Vec::new().into());
    // Unconstrained: tokio's cooperative budget would end after a hundred users, as if the buffer were full.
    if let Some(Err(error)) = tokio::task::unconstrained(sent).now_or_never() {
        let error = &error as &dyn std::error::Error;
        tracing::debug!(error, "cannot notify live streams");
    }
}
