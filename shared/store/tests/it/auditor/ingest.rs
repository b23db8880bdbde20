//! Messages through the real parser, ledger and dead letters.

use super::messages::Message;
use crate::world::rand_seed;
use serde_json::json;
use sqlx::PgPool;
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_store::dead_letters::{self, Cause, NewLetter};
use tiris_store::ledger::{Claim, Entry, Outcome, Source, apply_batch};
use tiris_testing::auditor::Verdict;

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

/// What becomes of a message without the ledger, or its entry.
fn read(message: &Message, sequence: i64) -> Result<Entry, Disposition> {
    match event::parse(&message.subject, &message.payload, BareSubjects::Refuse) {
        Ok(event) => entry(event, sequence).ok_or(Disposition::done(Verdict::Heartbeat)),
        Err(malformed) => Err(Disposition {
            verdict: Verdict::Malformed,
            cause: Some(Cause::from(&*malformed)),
        }),
    }
}

/// What became of a message, and why it is put aside, if it is.
struct Disposition {
    verdict: Verdict,
    cause: Option<Cause>,
}

impl Disposition {
    fn done(verdict: Verdict) -> Self {
        Self {
            verdict,
            cause: None,
        }
    }

    fn refused(cause: Cause) -> Self {
        Self {
            verdict: Verdict::Refused(cause.code),
            cause: Some(cause),
        }
    }

    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Applied(_) => Self::done(Verdict::Applied),
            Outcome::Duplicate => Self::done(Verdict::Duplicate),
            Outcome::Reused => Self::refused(Cause::event_id_reused()),
            Outcome::Rejected(rejection) => Self::refused(Cause::from(*rejection)),
            Outcome::Behind => Self::refused(Cause::behind_unresolved()),
        }
    }
}

/// Puts a batch through parser, ledger and dead letters, and says what became of each message.
pub(super) async fn ingest(pool: &PgPool, batch: &[Message], first: i64) -> Vec<String> {
    let mut entries = Vec::new();
    let mut dispositions = Vec::new();
    for (message, sequence) in batch.iter().zip(first..) {
        let read = read(message, sequence);
        dispositions.push(read.map(|entry| entries.push(entry)));
    }
    let mut transaction = pool.begin().await.expect("begun");
    let done = apply_batch(&mut transaction, &entries, rand_seed())
        .await
        .expect("applied");

    let mut outcomes = done.outcomes.iter();
    let mut letters = Vec::new();
    let mut verdicts = Vec::new();
    for ((message, sequence), disposition) in batch.iter().zip(first..).zip(dispositions) {
        let disposition = match disposition {
            Ok(()) => Disposition::of(outcomes.next().expect("an outcome")),
            Err(disposition) => disposition,
        };
        verdicts.push(format!("{:?}", disposition.verdict));
        letters.extend(
            disposition
                .cause
                .map(|cause| letter(message, sequence, cause)),
        );
    }
    dead_letters::insert(&mut transaction, &letters)
        .await
        .expect("put aside");
    transaction.commit().await.expect("committed");
    verdicts
}
