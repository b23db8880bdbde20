//! Every message nobody can read is a dead letter exactly once.
//!
//! Owns: the comparison by place in the stream and by bytes. Must not know: why a message cannot be read.

use super::stream::Stored;
use crate::report::Check;
use anyhow::Result;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use tiris_testing::auditor::Verdict;

pub(super) async fn check(
    pool: &PgPool,
    messages: &[Stored],
    verdicts: &[Verdict],
) -> Result<Check> {
    let rows: Vec<(String, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT stream, stream_seq, payload FROM dead_letters WHERE class = 'malformed'",
    )
    .fetch_all(pool)
    .await?;
    let mut letters: BTreeMap<(String, i64), Vec<Vec<u8>>> = BTreeMap::new();
    for (stream, seq, payload) in rows {
        letters.entry((stream, seq)).or_default().push(payload);
    }

    let mut findings = Vec::new();
    let mut bytes = BTreeSet::new();
    let mut copies = 0;
    let poison = messages.iter().zip(verdicts);
    for (message, _) in poison.filter(|(_, verdict)| **verdict == Verdict::Malformed) {
        let place = (message.stream.to_owned(), i64::try_from(message.seq)?);
        let found = letters.remove(&place).unwrap_or_default();
        if found != [message.payload.clone()] {
            let count = found.len();
            let text = String::from_utf8_lossy(&message.payload);
            findings.push(format!("{place:?} is {count} letters: {text:.300}"));
        }
        copies += usize::from(!bytes.insert(&message.payload));
    }
    for place in letters.keys() {
        findings.push(format!(
            "{place:?} is a letter of class malformed and nothing is wrong with it"
        ));
    }

    let extent = format!(
        "{} payloads, {copies} of them stored again by their publisher",
        bytes.len()
    );
    let what = "every poison message is one letter";
    Ok(Check::new(what, extent, findings))
}
