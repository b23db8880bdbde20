//! The memory of large answers: how much a list may read, and how many large answers may exist at once.
//!
//! A small answer needs no permission. A list that grows beyond [`SMALL_BYTES`] waits for a permit, without a database
//! connection, and keeps it until its answer is sent, so that slow clients cannot multiply large answers in memory.

use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of the rows of an answer at most, as JSON. At least one row is always returned.
pub(crate) const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes up to which an answer needs no permit.
const SMALL_BYTES: usize = 256 * 1024;
/// Large answers of this process at once.
const LARGE_MAX: usize = 12;
/// Large answers of a user at once: several users are needed to hold all of them.
const LARGE_PER_USER_MAX: usize = 3;
/// Users whose permits are known at most.
const USERS_MAX: u64 = 10_000;
/// After this time without a request the permits of a user are forgotten.
const IDLE: Duration = Duration::from_secs(600);

/// The permits for large answers of this process.
#[derive(Clone)]
pub(crate) struct Answers {
    all: Arc<Semaphore>,
    users: Cache<UserId, Arc<Semaphore>>,
}

/// The permission to hold a large answer, until it is dropped.
#[derive(Debug)]
pub(crate) struct LargePermit {
    _user: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// The size of an answer that is being read.
pub(crate) struct Answer {
    answers: Answers,
    user: UserId,
    bytes_max: usize,
    bytes: usize,
    permit: Option<LargePermit>,
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

impl Default for Answers {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(LARGE_MAX)),
            users: Cache::builder()
                .max_capacity(USERS_MAX)
                .time_to_idle(IDLE)
                .build(),
        }
    }
}

impl Answers {
    /// Begins an answer to `user`.
    pub(crate) fn begin(&self, user: UserId) -> Answer {
        Answer {
            answers: self.clone(),
            user,
            bytes_max: PAGE_BYTES_MAX,
            bytes: 0,
            permit: None,
        }
    }

    /// Waits for the turn of a large answer, first among those of the user.
    pub(crate) async fn large(&self, user: UserId) -> Result<LargePermit> {
        let fresh = async { Arc::new(Semaphore::new(LARGE_PER_USER_MAX)) };
        let own = self.users.get_with(user, fresh).await;
        let closed = |error| Error::Internal(Box::new(error));

        Ok(LargePermit {
            _user: own.acquire_owned().await.map_err(closed)?,
            _all: Arc::clone(&self.all)
                .acquire_owned()
                .await
                .map_err(closed)?,
        })
    }
}

impl Answer {
    /// Never lets the answer become large: for parts that are sent one after the other.
    pub(crate) fn small(self) -> Self {
        Self {
            bytes_max: SMALL_BYTES,
            ..self
        }
    }

    /// Divides the size among two lists of the answer, which are read one after the other.
    pub(crate) fn halved(self) -> Self {
        Self {
            bytes_max: PAGE_BYTES_MAX / 2,
            ..self
        }
    }

    /// Returns whether rows of `bytes` more fit.
    pub(crate) fn room(&self, bytes: usize) -> Room {
        let bytes = self.bytes + bytes;
        if bytes > self.bytes_max {
            Room::None
        } else if bytes > SMALL_BYTES && self.permit.is_none() {
            Room::OnlyInLarge
        } else {
            Room::Enough
        }
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

    /// Waits until the answer may become large. The caller must hold no database connection.
    pub(crate) async fn enlarge(&mut self) -> Result<()> {
        if self.permit.is_none() {
            self.permit = Some(self.answers.large(self.user).await?);
        }
        Ok(())
    }

    /// Returns the permit to keep until the answer is sent, if it is large.
    pub(crate) fn into_permit(self) -> Option<LargePermit> {
        self.permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_domain::ids::new_id;

    #[tokio::test]
    async fn a_user_leaves_large_answers_to_others() {
        let answers = Answers::default();
        let ann = UserId(new_id());
        let bob = UserId(new_id());

        let mut held = Vec::new();
        for _ in 0..LARGE_PER_USER_MAX {
            held.push(answers.large(ann).await.expect("a permit"));
        }

        let waits = tokio::time::timeout(Duration::ZERO, answers.large(ann)).await;
        assert!(waits.is_err(), "a further answer waits");
        answers.large(bob).await.expect("another user has permits");

        held.pop();
        answers.large(ann).await.expect("the freed permit");
    }

    #[tokio::test]
    async fn an_answer_grows_only_with_a_permit() {
        let mut answer = Answers::default().begin(UserId(new_id()));
        answer.add(SMALL_BYTES);

        assert_eq!(answer.room(0), Room::Enough);
        assert_eq!(answer.room(1), Room::OnlyInLarge);
        answer.enlarge().await.expect("a permit");
        assert_eq!(answer.room(1), Room::Enough);
        assert_eq!(answer.room(PAGE_BYTES_MAX), Room::None);
        assert_eq!(answer.small().room(1), Room::None);
    }
}
