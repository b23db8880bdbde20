//! Evidence that the faults had an effect, from the logs of the workers and the rows of the lanes.

use crate::system::System;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fs;

/// The words of a log line and their meaning.
const LINES: &str = "\
another worker owns the lane: a worker found that another one had taken its lane
lost the lane to another worker: a worker found that its lease had ended
cursor moved; continuing from the database: a commit succeeded whose response was lost
lost the connection to NATS: connections to NATS lost
batch failed; searching for the event: batches split in search of an event
event failed: events stored as INTERNAL dead letters
retried dead letters: rounds of automatic retries
deliveries fail; read a single message: messages read by direct get
lane waits: waits of a lane for a server";

pub(crate) async fn from_logs(system: &System) -> Result<BTreeMap<String, u64>> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(system.folder())?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("ingest-") {
            continue;
        }
        let bytes = fs::read(entry.path())?;
        let log = String::from_utf8_lossy(&bytes);
        for (words, meaning) in LINES.lines().filter_map(|line| line.split_once(": ")) {
            let count = u64::try_from(log.matches(words).count())?;
            *seen.entry(meaning.to_owned()).or_insert(0) += count;
        }
    }

    // A restore adds whole millions to the epochs.
    let (acquired, replayed): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT sum(epoch % 1000000)::bigint FROM ingest_lanes), \
                (SELECT count(*) FROM dead_letters WHERE status = 'replayed')",
    )
    .fetch_one(&system.pool)
    .await?;
    seen.insert("lanes acquired".to_owned(), u64::try_from(acquired)?);
    seen.insert(
        "dead letters applied by a retry".to_owned(),
        u64::try_from(replayed)?,
    );
    Ok(seen)
}
