//! Notices users who publish by both forms of subjects: nothing keeps order between the two.

use crate::context::Context;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_store::bare_publishers;
use tiris_store::error::Result;
use uuid::Uuid;

/// How often the users seen since are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// A user is warned of once in this time.
const WARN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Users remembered between two looks.
const USERS_MAX: usize = 10_000;

/// Users a lane has seen.
#[derive(Debug)]
pub(super) struct MixedSubjects {
    seen: BTreeSet<Uuid>,
    warned: BTreeSet<Uuid>,
    looked: Instant,
    warned_since: Instant,
}

impl Default for MixedSubjects {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            seen: BTreeSet::new(),
            warned: BTreeSet::new(),
            // The first look is at once.
            looked: now.checked_sub(LOOK_INTERVAL).unwrap_or(now),
            warned_since: now,
        }
    }
}

impl MixedSubjects {
    /// Called after a commit of events of `users`. A failure does not matter: the next batch looks again.
    pub(super) async fn note(
        &mut self,
        context: &Context,
        key: LaneKey,
        users: impl Iterator<Item = Uuid>,
    ) {
        let room = USERS_MAX.saturating_sub(self.seen.len());
        self.seen.extend(users.take(room));
        if self.looked.elapsed() < LOOK_INTERVAL || self.seen.is_empty() {
            return;
        }

        if let Err(error) = self.look(context, key).await {
            tracing::debug!(lane = %key, error = &error as &dyn std::error::Error, "could not look at the subjects used");
        }
    }

    async fn look(&mut self, context: &Context, key: LaneKey) -> Result<()> {
        let users: Vec<Uuid> = self.seen.iter().copied().collect();
        let mut connection = context.pool.acquire().await?;
        let both = if key.lane == context.lanes {
            bare_publishers::note(&mut connection, &users).await?;
            Vec::new()
        } else {
            bare_publishers::seen_lately(&mut connection, &users).await?
        };

        self.looked = Instant::now();
        self.seen.clear();
        if self.warned_since.elapsed() >= WARN_INTERVAL {
            self.warned.clear();
            self.warned_since = Instant::now();
        }
        for user in both {
            if self.warned.insert(user) {
                metrics::counter!("ingest_mixed_subjects_total", "stream" => key.stream.name())
                    .increment(1);
                tracing::warn!(lane = %key, user_id = %user, "a user publishes by subjects with and without a user: order between them is not kept");
            }
        }
        Ok(())
    }
}
