//! Every malformed message is exactly one dead letter, by its place in the stream and its bytes.

use super::Judged;
use crate::report::Check;
use anyhow::Result;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet};
use tiris_testing::auditor::Verdict;

pub(super) async fn check(pool: &PgPool, judged: &[Judged<'_>]) -> Result<Check> {
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
    let mut payloads = BTreeSet::new();
    let mut copies = 0;
    let is_malformed = |judged: &&Judged| judged.verdict == Verdict::Malformed;
    for Judged { message, .. } in judged.iter().filter(is_malformed) {
        let place = (message.stream.to_owned(), i64::try_from(message.seq)?);
        let found = letters.remove(&place).unwrap_or_default();
        if found != [message.payload.clone()] {
            let count = found.len();
            let text = String::from_utf8_lossy(&message.payload);
            findings.push(format!("{place:?} is {count} dead letters: {text:.300}"));
        }
        copies += usize::from(!payloads.insert(&message.payload));
    }
    for place in letters.keys() {
        findings.push(format!(
            "{place:?} is a dead letter of class malformed, but well-formed"
        ));
    }

    Ok(Check {
        what: "every poison message is one dead letter",
        extent: format!(
            "{} payloads, {copies} of them stored again by their publisher",
            payloads.len()
        ),
        findings,
    })
}
