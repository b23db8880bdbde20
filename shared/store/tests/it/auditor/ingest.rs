//! Processes messages with the production parser, ledger and dead letters.

use super::messages::Message;
use crate::world::rand_seed;
use serde_json::json;
use sqlx::PgPool;
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::dead_letters::{self, NewLetter};
use tiris_store::ledger::{Cause, Claim, Disposition, Entry, Source, apply_batch};
use tiris_testing::auditor::Verdict;

fn entry(event: Event, stream_seq: u64) -> Option<Entry> {
    Some(Entry {
        user: event.user,
        trading: event.trading,
        sub_account: event.sub_account,
        command: event.command()?,
        log_type: event.log_type().to_owned(),
        source: Source::Bot,
        order: event.order_id().cloned(),
        claim: Some(Claim {
            event_id: event.event_id.into_string(),
            content_hash: event.content_hash,
            stream: EventStream::Trading,
            stream_seq,
        }),
        event_time: Some(event.timestamp),
        message: event.message,
        info: event.info,
    })
}

fn letter(message: &Message, stream_seq: u64, cause: &Cause) -> NewLetter {
    let key = LaneKey {
        stream: EventStream::Trading,
        lane: 0,
    };

    NewLetter {
        key,
        stream_created_at: 1,
        stream_seq,
        subject: message.subject.clone(),
        payload: message.payload.clone(),
        headers: json!({}),
        broker_time: None,
        event_id: None,
        user_id: None,
        trading_id: None,
        accounts: None,
        class: cause.class(),
        code: cause.code(),
        reason: cause.to_string(),
    }
}

/// Returns the entry of a message, or its outcome without the ledger.
fn read(message: &Message, sequence: u64) -> Result<Entry, Handled> {
    match event::parse(&message.subject, &message.payload, BareSubjects::Refuse) {
        Ok(event) => entry(event, sequence).ok_or(Handled::done(Verdict::Heartbeat)),
        Err(malformed) => Err(Handled {
            verdict: Verdict::Malformed,
            cause: Some(Cause::Malformed(malformed)),
        }),
    }
}

/// The outcome of a message, with the cause if it becomes a dead letter.
struct Handled {
    verdict: Verdict,
    cause: Option<Cause>,
}

impl Handled {
    fn done(verdict: Verdict) -> Self {
        Self {
            verdict,
            cause: None,
        }
    }

    fn refused(cause: Cause) -> Self {
        Self {
            verdict: Verdict::Refused(cause.code()),
            cause: Some(cause),
        }
    }

    fn of(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Applied(_) => Self::done(Verdict::Applied),
            Disposition::Recorded => Self::done(Verdict::Heartbeat),
            Disposition::Duplicate => Self::done(Verdict::Duplicate),
            Disposition::DeadLetter(cause) => Self::refused(cause),
            Disposition::Deferred => Self::refused(Cause::BehindUnresolved),
        }
    }
}

/// Processes a batch. Returns the outcome of each message.
pub(super) async fn ingest(pool: &PgPool, batch: &[Message], first: u64) -> Vec<String> {
    let mut entries = Vec::new();
    let mut handled_events = Vec::new();
    for (message, sequence) in batch.iter().zip(first..) {
        let read = read(message, sequence);
        handled_events.push(read.map(|entry| entries.push(entry)));
    }
    let mut transaction = pool.begin().await.expect("begun");
    let done = apply_batch(&mut transaction, &entries, rand_seed())
        .await
        .expect("applied");

    let mut dispositions = done.dispositions.into_iter();
    let mut letters = Vec::new();
    let mut verdicts = Vec::new();
    for ((message, sequence), handled) in batch.iter().zip(first..).zip(handled_events) {
        let handled = match handled {
            Ok(()) => Handled::of(dispositions.next().expect("a disposition")),
            Err(handled) => handled,
        };
        verdicts.push(format!("{:?}", handled.verdict));
        let cause = handled.cause.as_ref();
        letters.extend(cause.map(|cause| letter(message, sequence, cause)));
    }
    dead_letters::insert(&mut transaction, &letters)
        .await
        .expect("stored dead letters");
    transaction.commit().await.expect("committed");
    verdicts
}
