//! Users whose messages the lane passes over, because they exceed their quota. The lane processes them for a part of its time;
//! their order and everything else stays the same.
//!
//! Owns which messages are passed over, and whose turn it is. The database holds the truth: what is here is read again when
//! the lane follows a stored position.

use super::quota::Quotas;
use super::share::Share;
use crate::context::Context;
use crate::plan::Item;
use chrono::Utc;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tiris_domain::lane::LaneKey;
use tiris_store::error::Result;
use tiris_store::lanes::detours::{self, Advance, Detour, Passed};
use uuid::Uuid;

/// Detours take at most one in this many parts of the lane's time while other messages wait.
const PARTS: u32 = 4;

/// The detours of a lane.
#[derive(Debug)]
pub(super) struct Detours {
    /// By user; None before they are read from the database.
    known: Option<BTreeMap<Uuid, Known>>,
    quotas: Quotas,
    share: Share,
    /// The user who had the last turn.
    last: Option<Uuid>,
}

/// A detour.
#[derive(Clone, Copy, Debug)]
struct Known {
    detour: Detour,
    /// Whether it is in the database: it is not before a batch that passes over its first message is committed.
    is_stored: bool,
}

impl Detours {
    pub(super) fn new(quotas: Quotas) -> Self {
        Self {
            known: None,
            quotas,
            share: Share::one_in(PARTS),
            last: None,
        }
    }

    pub(super) const fn are_known(&self) -> bool {
        self.known.is_some()
    }

    /// Reads the stored detours of the lane.
    pub(super) async fn load(&mut self, context: &Context, key: LaneKey) -> Result<()> {
        self.adopt(detours::of_lane(&context.pool, key).await?);
        Ok(())
    }

    fn adopt(&mut self, stored: Vec<Detour>) {
        let known = stored.into_iter().map(|detour| {
            let is_stored = true;
            (detour.user_id, Known { detour, is_stored })
        });
        self.known = Some(known.collect());
    }

    /// Forgets the detours, because the stored ones may differ.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Returns whether messages that were passed over are left.
    pub(super) fn are_under_way(&self) -> bool {
        let mut known = self.known.iter().flat_map(BTreeMap::values);
        known.any(|known| known.is_stored)
    }

    /// Begins the detours of users who exceed their quota with the messages that the lane has read.
    pub(super) fn admit(&mut self, read: &[Item]) {
        let known = self.known.get_or_insert_default();
        for item in read {
            let message = &item.message;
            let Some(user) = item.publisher else {
                continue;
            };
            if known.contains_key(&user)
                || self.quotas.take(user, message.broker_time, message.bytes())
            {
                continue;
            }

            let detour = Detour {
                user_id: user,
                cursor: message.stream_seq - 1,
                behind: 0,
                since: Utc::now(),
            };
            let is_stored = false;
            known.insert(user, Known { detour, is_stored });
        }
    }

    /// Returns the users whose new messages the lane passes over.
    pub(super) fn users(&self) -> BTreeSet<Uuid> {
        let known = self.known.iter().flat_map(BTreeMap::keys);
        known.copied().collect()
    }

    /// Returns whether the lane passes over a message that it has read.
    pub(super) fn passes(&self, item: &Item) -> bool {
        let known = self.known.as_ref().zip(item.publisher);
        let detour = known.and_then(|(known, user)| known.get(&user));
        detour.is_some_and(|known| item.message.stream_seq > known.detour.cursor)
    }

    /// Returns the messages of each user that are passed over among `items`.
    pub(super) fn passed(&self, items: &[Item]) -> Vec<Passed> {
        let mut counts: BTreeMap<Uuid, u64> = BTreeMap::new();
        for item in items.iter().filter(|item| self.passes(item)) {
            if let Some(user) = item.publisher {
                *counts.entry(user).or_default() += 1;
            }
        }

        let from = |user: &Uuid| {
            self.known
                .as_ref()?
                .get(user)
                .map(|known| known.detour.cursor)
        };
        let passed = counts.into_iter().filter_map(|(user, count)| {
            let from = from(&user)?;
            Some(Passed { user, from, count })
        });
        passed.collect()
    }

    /// Records that a batch is committed that passed over messages. Returns the users whose detours began.
    pub(super) fn note_passed(&mut self, passed: &[Passed]) -> Vec<Uuid> {
        let mut begun = Vec::new();
        for Passed { user, count, .. } in passed {
            let known = self.known.as_mut().and_then(|known| known.get_mut(user));
            if let Some(known) = known {
                known.detour.behind += count;
                if !std::mem::replace(&mut known.is_stored, true) {
                    begun.push(*user);
                }
            }
        }
        begun
    }

    /// Records that a step of a detour is committed.
    pub(super) fn note_advanced(&mut self, step: &Advance) {
        let Some(known) = &mut self.known else {
            return;
        };
        match (step.to, known.get_mut(&step.user)) {
            (Some(to), Some(known)) => {
                known.detour.cursor = to;
                known.detour.behind = known.detour.behind.saturating_sub(step.count);
            }
            _ => {
                known.remove(&step.user);
            }
        }
    }

    /// Returns the detour that continues now, if any may.
    pub(super) fn next(&mut self) -> Option<Detour> {
        if !self.share.is_free() {
            return None;
        }
        let stored = self.known.as_ref()?.values();
        let stored = stored.filter(|known| known.is_stored);
        let mut users = stored.map(|known| known.detour);
        let first = users.clone().next()?;
        // The users take turns.
        let next = users.find(|detour| Some(detour.user_id) > self.last);

        let next = next.unwrap_or(first);
        self.last = Some(next.user_id);
        Some(next)
    }

    /// Records that a detour took time.
    pub(super) fn take(&mut self, time: Duration) {
        self.share.take(time);
    }

    /// Records that other messages took time.
    pub(super) fn give(&mut self, time: Duration) {
        self.share.give(time);
    }

    /// Returns how long the lane waits for other messages before a detour continues.
    pub(super) fn pause(&self) -> Duration {
        self.share.rest()
    }

    /// Records that no other message waits.
    pub(super) fn forgive(&mut self) {
        self.share.forgive();
    }
}

#[cfg(test)]
mod tests;
