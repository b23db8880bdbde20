//! Detects users that publish on subjects with and without a user, because order between the two is not preserved.

use crate::context::Context;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_store::bare_publishers;
use tiris_store::error::Result;
use uuid::Uuid;

/// How often the collected users are checked.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// How often the same user is reported.
const WARN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// Maximum number of users collected between two checks.
const USERS_MAX: usize = 10_000;

/// The users of a lane.
#[derive(Debug, Default)]
pub(super) struct MixedSubjects {
    seen: BTreeSet<Uuid>,
    warned: BTreeSet<Uuid>,
    checked: Option<Instant>,
    warned_since: Option<Instant>,
}

fn has_passed(interval: Duration, since: Option<Instant>) -> bool {
    since.is_none_or(|since| since.elapsed() >= interval)
}

impl MixedSubjects {
    /// Notes the users of a committed batch. A failure is only logged: the next batch checks again.
    pub(super) async fn note(
        &mut self,
        context: &Context,
        key: LaneKey,
        users: impl Iterator<Item = Uuid>,
    ) {
        let room = USERS_MAX.saturating_sub(self.seen.len());
        self.seen.extend(users.take(room));
        if self.seen.is_empty() || !has_passed(CHECK_INTERVAL, self.checked) {
            return;
        }

        if let Err(error) = self.check(context, key).await {
            tracing::debug!(lane = %key, error = &error as &dyn std::error::Error, "could not check for users of both forms of subjects");
        }
    }

    async fn check(&mut self, context: &Context, key: LaneKey) -> Result<()> {
        let users: Vec<Uuid> = self.seen.iter().copied().collect();
        let mut connection = context.pool.acquire().await?;
        let both = if key.lane == context.lanes {
            bare_publishers::note(&mut connection, &users).await?;
            Vec::new()
        } else {
            bare_publishers::seen_lately(&mut connection, &users).await?
        };

        self.checked = Some(Instant::now());
        self.seen.clear();
        if has_passed(WARN_INTERVAL, self.warned_since) {
            self.warned.clear();
            self.warned_since = Some(Instant::now());
        }
        for user in both {
            if self.warned.insert(user) {
                metrics::counter!("ingest_mixed_subjects_total", "stream" => key.stream.name())
                    .increment(1);
                tracing::warn!(lane = %key, user_id = %user, "a user publishes on subjects with and without a user: order between them is not preserved");
            }
        }
        Ok(())
    }
}
