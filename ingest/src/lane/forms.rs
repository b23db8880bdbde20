//! Notices users who publish by both forms of subjects: nothing keeps order between the two.
//!
//! Owns: whom a lane has seen, and the warning. Must not know: what the events say.

use super::Lane;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
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
pub(super) struct Forms {
    seen: BTreeSet<Uuid>,
    warned: BTreeSet<Uuid>,
    looked: Instant,
    warned_since: Instant,
}

impl Default for Forms {
    fn default() -> Self {
        let now = Instant::now();
        // The first look is at once.
        let looked = now.checked_sub(LOOK_INTERVAL).unwrap_or(now);
        Self {
            seen: BTreeSet::new(),
            warned: BTreeSet::new(),
            looked,
            warned_since: now,
        }
    }
}

impl Lane {
    /// After a commit of events of `users`. Trouble is no matter: the next batch looks again.
    pub(super) async fn note_forms(&mut self, users: BTreeSet<Uuid>) {
        let room = USERS_MAX.saturating_sub(self.forms.seen.len());
        self.forms.seen.extend(users.into_iter().take(room));
        if self.forms.looked.elapsed() < LOOK_INTERVAL || self.forms.seen.is_empty() {
            return;
        }
        if let Err(error) = self.look_at_forms().await {
            tracing::debug!(lane = %self.id, error = &error as &dyn std::error::Error, "could not look at the subjects used");
        }
    }

    async fn look_at_forms(&mut self) -> Result<()> {
        let users: Vec<Uuid> = self.forms.seen.iter().copied().collect();
        let mut connection = self.context.pool.acquire().await?;
        let is_bare = self.id.lane == self.context.lanes;
        let both = if is_bare {
            bare_publishers::note(&mut connection, &users).await?;
            Vec::new()
        } else {
            bare_publishers::seen_lately(&mut connection, &users).await?
        };
        self.forms.looked = Instant::now();
        self.forms.seen.clear();
        if self.forms.warned_since.elapsed() >= WARN_INTERVAL {
            self.forms.warned.clear();
            self.forms.warned_since = Instant::now();
        }
        for user in both {
            if self.forms.warned.insert(user) {
                metrics::counter!("ingest_mixed_subjects_total", "stream" => self.id.stream.name())
                    .increment(1);
                tracing::warn!(lane = %self.id, user_id = %user, "a user publishes by subjects with and without a user: order between them is not kept");
            }
        }
        Ok(())
    }
}
