//! A step of a detour: reads the next messages that the lane has passed over for a user, and commits them together with the
//! cursor of the detour.

use super::commit::{Batch, Moves, fitting};
use super::position::Interrupt;
use super::{Lane, Step};
use crate::plan::Item;
use crate::stream::{next_from, subjects};
use std::time::Instant;
use tiris_store::error::Result;
use tiris_store::lanes::detours::{Advance, Detour};

/// Direct gets that are sent at once, at most.
const DIRECT_GETS_MAX: u64 = 128;

impl Lane {
    /// Continues the next detour, if any may continue now.
    pub(super) async fn continue_detour(&mut self) -> Result<Option<Step>, Interrupt> {
        let Some(detour) = self.detours.next() else {
            return Ok(None);
        };

        let begun = Instant::now();
        let step = self.step_of(&detour).await;
        self.detours.take(begun.elapsed());
        step.map(Some)
    }

    async fn step_of(&mut self, detour: &Detour) -> Result<Step, Interrupt> {
        let items = self.read_detour(detour).await?;
        let read = items.len();
        let items = &items[..fitting(&items, self.detour_pace, |_| false)];
        if items.len() < read {
            // The others are read again.
            self.detour_gets.used(items.iter().map(|_| 1).sum());
        }
        let last = items.last().map(|item| item.message.stream_seq);
        // The lane has not passed over messages on the user's subjects of an unknown type.
        let passed = items
            .iter()
            .filter(|item| item.publisher == Some(detour.user_id));
        let passed: Vec<&Item> = passed.collect();
        let count = passed.iter().map(|_| 1).sum();
        let advance = Advance {
            user: detour.user_id,
            from: detour.cursor,
            to: last.filter(|_| count < detour.behind),
            count,
        };
        let batch = Batch {
            items: passed,
            moves: Moves::Detour(advance),
        };

        let step = self.commit_detour(&batch).await?;
        if matches!(step, Step::Committed(_)) {
            self.detours.note_advanced(&advance);
            if advance.to.is_none() {
                self.report_end(detour, count);
            }
        }
        Ok(step)
    }

    /// Reads the next messages of the user up to the lane's cursor.
    async fn read_detour(&mut self, detour: &Detour) -> Result<Vec<Item>> {
        let key = self.position.key;
        let subjects = [subjects::of_user_in_lane(key, detour.user_id)];
        let connection = &self.context.connection;
        let from = detour.cursor + 1;
        let gets = self.detour_gets.limit().min(DIRECT_GETS_MAX);
        let begun = Instant::now();
        let found = next_from(connection, key.stream, from, &subjects, gets).await?;
        self.detour_gets.succeeded(gets, begun.elapsed());

        let bare = self.context.bare_subjects;
        let passed = found
            .into_iter()
            .map(|direct| direct.message)
            .filter(|message| message.stream_seq <= self.cursor());
        Ok(passed
            .map(|message| Item::new(message, key.stream, bare))
            .collect())
    }

    fn report_end(&self, detour: &Detour, count: u64) {
        let key = self.position.key;
        let user_id = detour.user_id;
        tracing::info!(lane = %key, %user_id, since = %detour.since, "the events of a user are no longer behind those of others");

        let missing = detour.behind.saturating_sub(count);
        if missing > 0 {
            let lane = key.lane.to_string();
            metrics::counter!("ingest_gap_messages_total", "stream" => key.stream.name(), "lane" => lane)
                .increment(missing);
            tracing::error!(lane = %key, %user_id, missing, "messages that were passed over are gone from the stream");
        }
    }
}
