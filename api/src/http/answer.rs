//! The memory of answers, and the database connections that reading them takes: how much an answer may have, how many may
//! exist at once, and how many of them are read at once.
//!
//! Every list begins small, and waits only when its user has many answers that are not sent yet. One that grows beyond
//! [`SMALL_BYTES`] is read again as a large one, when its turn comes: a waiting request holds neither rows nor a database
//! connection. An answer keeps its permit until it is sent, so that slow clients cannot multiply answers in memory.

use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of the rows of an answer at most, as JSON. At least one row is always returned.
pub(crate) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes up to which an answer is small.
const SMALL_BYTES: usize = 256 * 1024;
/// Rows of a bounded size up to which an answer is small.
const SMALL_ROWS: u64 = 200;
/// Large answers of this process at once.
const LARGE_MAX: usize = 12;
/// Large answers of a user at once: several users are needed to hold all of them.
const LARGE_PER_USER_MAX: usize = 3;
/// Small answers of a user at once.
const SMALL_PER_USER_MAX: usize = 32;
/// Requests of a user that wait for their turn; a further one is refused.
const WAITING_PER_USER_MAX: u32 = 256;
/// Users whose permits are known at most.
const USERS_MAX: u64 = 10_000;
/// After this time without a request the permits of a user are forgotten.
const IDLE: Duration = Duration::from_secs(600);

/// The permits for answers of this process.
#[derive(Clone)]
pub(crate) struct Answers {
    large: Arc<Semaphore>,
    /// Large answers, exports and other long reads that are read at once.
    long_reads: Arc<Semaphore>,
    long_per_user: usize,
    reads_per_user: usize,
    users: Cache<UserId, Arc<OfUser>>,
}

/// The permits of a user.
struct OfUser {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    long: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    waiting: Semaphore,
}

/// The permission to hold an answer, until it is dropped.
#[derive(Debug)]
enum Permit {
    Small {
        _user: OwnedSemaphorePermit,
    },
    Large {
        _user: OwnedSemaphorePermit,
        _all: OwnedSemaphorePermit,
    },
}

/// The permission to read rows, until it is dropped.
pub(crate) struct Turn {
    _long: Option<OwnedSemaphorePermit>,
    _user: OwnedSemaphorePermit,
    _all: Option<OwnedSemaphorePermit>,
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) struct Held {
    _permit: Option<Permit>,
    /// Bytes of its rows.
    pub(super) bytes: usize,
}

/// The size of an answer that is being read.
pub(crate) struct Answer {
    answers: Answers,
    user: UserId,
    small_max: usize,
    bytes_max: usize,
    is_part: bool,
    is_long: bool,
    bytes: usize,
    /// The size of a row, as far as known.
    row_bytes: Option<usize>,
    permit: Option<Permit>,
}

/// Whether a further row fits into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// The answer must be enlarged first.
    OnlyInLarge,
    /// The answer is full.
    None,
}

impl OfUser {
    fn new(long: usize, reads: usize) -> Self {
        let waiting = usize::try_from(WAITING_PER_USER_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            small: Arc::new(Semaphore::new(SMALL_PER_USER_MAX)),
            large: Arc::new(Semaphore::new(LARGE_PER_USER_MAX)),
            long: Arc::new(Semaphore::new(long)),
            reads: Arc::new(Semaphore::new(reads)),
            waiting: Semaphore::new(waiting),
        }
    }
}

impl Answers {
    /// Returns permits for answers. `long_reads` leaves database connections to short reads. A user may have all but one of
    /// its permits, and may read `reads_per_user` lists at once, so that some are left to other users.
    pub(crate) fn new(long_reads: Arc<Semaphore>, reads_per_user: usize) -> Self {
        Self {
            large: Arc::new(Semaphore::new(LARGE_MAX)),
            long_per_user: long_reads.available_permits().saturating_sub(1).max(1),
            long_reads,
            reads_per_user,
            users: Cache::builder()
                .max_capacity(USERS_MAX)
                .time_to_idle(IDLE)
                .build(),
        }
    }

    /// Begins an answer to `user`.
    pub(crate) fn begin(&self, user: UserId) -> Answer {
        Answer {
            answers: self.clone(),
            user,
            small_max: SMALL_BYTES,
            bytes_max: PAGE_BYTES_MAX,
            is_part: false,
            is_long: false,
            bytes: 0,
            row_bytes: None,
            permit: None,
        }
    }

    async fn of(&self, user: UserId) -> Arc<OfUser> {
        let fresh = async { Arc::new(OfUser::new(self.long_per_user, self.reads_per_user)) };
        self.users.get_with(user, fresh).await
    }
}

/// Waits for a permit.
async fn acquired(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.map_err(|closed| Error::Internal(Box::new(closed)))
}

async fn acquired_if(
    is_needed: bool,
    semaphore: &Arc<Semaphore>,
) -> Result<Option<OwnedSemaphorePermit>> {
    if is_needed {
        acquired(semaphore).await.map(Some)
    } else {
        Ok(None)
    }
}

impl Answer {
    /// Makes this a part of an answer that is sent part by part: it stays small, and its reader bounds how many there are.
    pub(crate) fn part(self) -> Self {
        Self {
            bytes_max: SMALL_BYTES,
            is_part: true,
            is_long: true,
            ..self
        }
    }

    /// Makes reading this take a turn among the long reads, because it is computed from many rows.
    pub(crate) fn long(self) -> Self {
        Self {
            is_long: true,
            ..self
        }
    }

    /// Divides the size among two lists of the answer, which are read one after the other.
    pub(crate) fn halved(self) -> Self {
        Self {
            small_max: SMALL_BYTES / 2,
            bytes_max: PAGE_BYTES_MAX / 2,
            ..self
        }
    }

    /// Returns whether rows of `bytes` more fit.
    pub(crate) fn room(&self, bytes: usize) -> Room {
        let bytes = self.bytes + bytes;
        if bytes > self.bytes_max {
            Room::None
        } else if bytes > self.small_max && !self.is_part && !self.is_large() {
            Room::OnlyInLarge
        } else {
            Room::Enough
        }
    }

    fn is_large(&self) -> bool {
        matches!(self.permit, Some(Permit::Large { .. }))
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Returns the bytes of the rows so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Begins another list, or the same one again.
    pub(crate) fn restart(&mut self) {
        self.bytes = 0;
    }

    /// Returns the bytes that still fit.
    pub(crate) fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes)
    }

    /// Notes the size of a row, so that reading again queries no rows in vain.
    pub(super) fn expect_rows_of(&mut self, bytes: usize) {
        self.row_bytes = Some(bytes);
    }

    /// Returns the size of a row, if it is known from an earlier attempt.
    pub(super) fn expected_row(&self) -> Option<usize> {
        self.row_bytes
    }

    /// Waits until rows may be read. The caller must hold no database connection.
    pub(crate) async fn turn(&mut self) -> Result<Turn> {
        let own = self.answers.of(self.user).await;
        let _waiting = if self.is_part {
            None
        } else {
            Some(own.waiting.try_acquire().map_err(|_| full())?)
        };

        if self.permit.is_none() && !self.is_part {
            let user = acquired(&own.small).await?;
            self.permit = Some(Permit::Small { _user: user });
        }
        let is_long = self.is_long || self.is_large();
        // In this order, so that long reads that wait leave the other reads to short ones.
        let long = acquired_if(is_long, &own.long).await?;
        let user = acquired(&own.reads).await?;
        let all = acquired_if(is_long, &self.answers.long_reads).await?;
        Ok(Turn {
            _long: long,
            _user: user,
            _all: all,
        })
    }

    /// Waits until the answer may become large, first among those of the user. The caller must hold no database
    /// connection, and drop the rows read so far.
    pub(crate) async fn enlarge(&mut self) -> Result<()> {
        if self.is_large() {
            return Ok(());
        }
        self.permit = None;
        let own = self.answers.of(self.user).await;
        let _waiting = own.waiting.try_acquire().map_err(|_| full())?;

        let user = acquired(&own.large).await?;
        let all = acquired(&self.answers.large).await?;
        self.permit = Some(Permit::Large {
            _user: user,
            _all: all,
        });
        Ok(())
    }

    /// Like [`Self::turn`], for `rows` rows of a bounded size.
    pub(crate) async fn turn_for(&mut self, rows: u64) -> Result<Turn> {
        if rows > SMALL_ROWS {
            self.enlarge().await?;
        }
        self.turn().await
    }

    /// Returns what to keep until the answer is sent.
    pub(crate) fn held(self) -> Held {
        Held {
            _permit: self.permit,
            bytes: self.bytes,
        }
    }
}

fn full() -> Error {
    Error::TooManyAtOnce {
        what: "requests that wait for their turn",
        max: WAITING_PER_USER_MAX,
    }
}

#[cfg(test)]
mod tests;
