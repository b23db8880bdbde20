//! Messages through the real parser, ledger and dead letters.

use super::messages::Message;
use crate::world::rand_seed;
use serde_json::json;
use sqlx::PgPool;
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_store::dead_letters::{self, Cause, NewLetter};
use tiris_store::ledger::{Claim, Entry, Outcome, Source, apply_batch};
use tiris_testing::auditor::Verdict;

/// What the parser makes of a message.
enum Read {
    Entry(Box<Entry>),
    Heartbeat,
    Malformed(Cause),
}

fn read(message: &Message, sequence: i64) -> Read {
    match event::parse(&message.subject, &message.payload, BareSubjects::Refuse) {
        Ok(event) => match entry(event, sequence) {
            Some(entry) => Read::Entry(Box::new(entry)),
            None => Read::Heartbeat,
        },
        Err(malformed) => Read::Malformed(Cause::from(&*malformed)),
    }
}

fn entry(event: Event, stream_seq: i64) -> Option<Entry> {
    Some(Entry {
        user: event.user,
        trading: event.trading,
        sub_account: event.sub_account,
        command: event.command()?,
        log_type: event.log_type().to_owned(),
        source: Source::Bot,
        order: event.order_id().cloned(),
        claim: Some(Claim {
            event_id: event.event_id,
            content_hash: event.content_hash,
            stream: "TRADING".to_owned(),
            stream_seq,
        }),
        event_time: Some(event.timestamp),
        message: event.message,
        info: event.info,
    })
}

fn letter(message: &Message, stream_seq: i64, cause: Cause) -> NewLetter {
    NewLetter {
        stream: "TRADING".to_owned(),
        lane: 0,
        stream_created_at: 1,
        stream_seq,
        subject: message.subject.clone(),
        payload: message.payload.clone(),
        headers: json!({}),
        broker_time: None,
        event_id: None,
        user_id: None,
        trading_id: None,
        cause,
    }
}

/// What became of an entry: done, or a reason to put the event aside.
fn settle(outcome: &Outcome) -> Result<Verdict, Cause> {
    match outcome {
        Outcome::Applied(_) => Ok(Verdict::Applied),
        Outcome::Duplicate => Ok(Verdict::Duplicate),
        Outcome::Reused => Err(Cause::event_id_reused()),
        Outcome::Rejected(rejection) => Err(Cause::from(*rejection)),
        Outcome::Behind => Err(Cause::behind_unresolved()),
    }
}

/// Puts a batch through parser, ledger and dead letters, and says what became of each message.
pub(super) async fn ingest(pool: &PgPool, batch: &[Message], first: i64) -> Vec<String> {
    let reads: Vec<Read> = batch
        .iter()
        .zip(first..)
        .map(|(message, sequence)| read(message, sequence))
        .collect();
    let entries: Vec<Entry> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Entry(entry) => Some((**entry).clone()),
            Read::Heartbeat | Read::Malformed(_) => None,
        })
        .collect();
    let mut transaction = pool.begin().await.expect("begun");
    let done = apply_batch(&mut transaction, &entries, rand_seed())
        .await
        .expect("applied");

    let mut outcomes = done.outcomes.iter();
    let mut letters = Vec::new();
    let mut verdicts = Vec::new();
    for ((message, sequence), read) in batch.iter().zip(first..).zip(reads) {
        let verdict = match read {
            Read::Heartbeat => Verdict::Heartbeat,
            Read::Malformed(cause) => {
                letters.push(letter(message, sequence, cause));
                Verdict::Malformed
            }
            Read::Entry(_) => {
                settle(outcomes.next().expect("an outcome")).unwrap_or_else(|cause| {
                    let verdict = Verdict::Refused(cause.code);
                    letters.push(letter(message, sequence, cause));
                    verdict
                })
            }
        };
        verdicts.push(format!("{verdict:?}"));
    }
    dead_letters::insert(&mut transaction, &letters)
        .await
        .expect("put aside");
    transaction.commit().await.expect("committed");
    verdicts
}
