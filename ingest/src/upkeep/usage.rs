//! The metrics of the streams' limits: bytes, messages of the subject that has most, and what one user can
//! store.
//!
//! Every worker reads them, so that each reports the metrics, whichever is scraped.

use crate::connection::Connection;
use crate::dead_letters;
use crate::stream::{Limit, Usage, float, usage};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;

/// The broker lists every subject, which is some megabytes with a hundred thousand of them.
const INTERVAL: Duration = Duration::from_secs(60);

/// Reads periodically.
pub(crate) async fn run(connection: Connection) {
    loop {
        if let Err(error) = read(&connection).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "could not read the usage of the streams");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn read(connection: &Connection) -> Result<()> {
    let streams = EventStream::ALL.map(EventStream::name);
    for stream in streams.into_iter().chain([dead_letters::NAME]) {
        if let Some(usage) = usage(&connection.jetstream, stream).await? {
            gauge(stream, &usage);
        }
    }
    Ok(())
}

fn gauge(stream: &'static str, usage: &Usage) {
    let limit = |limit: Limit| float(limit.of(&usage.info.config).unwrap_or(0));
    let fullest = usage.fullest.as_ref().map_or(0, |found| found.messages);

    metrics::gauge!("ingest_stream_bytes", "stream" => stream).set(float(usage.info.state.bytes));
    metrics::gauge!("ingest_stream_bytes_max", "stream" => stream).set(limit(Limit::Bytes));
    metrics::gauge!("ingest_stream_subject_messages", "stream" => stream).set(float(fullest));
    metrics::gauge!("ingest_stream_subject_messages_max", "stream" => stream)
        .set(limit(Limit::MessagesPerSubject));
    metrics::gauge!("ingest_stream_user_bytes_max", "stream" => stream)
        .set(float(usage.user_bytes_max().unwrap_or(0)));
}
