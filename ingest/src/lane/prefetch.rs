//! Reads and parses the next batch in a task of its own while the lane commits the current one. Messages that the lane passes
//! over are not parsed, and nothing is while the lane waits.
//!
//! The lane requests each batch over a bounded channel. So a batch is handed over only when the lane is ready for it, and is
//! as large as it can be by then.

use crate::context::Context;
use crate::plan::Item;
use crate::stream::{BatchLimits, Message, Reader};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tiris_domain::lane::LaneKey;
use tiris_store::error::{Error, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// How often an idle reader checks for lost deliveries.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes to read ahead, as many as a usual batch has: each lane of a process holds them besides its batch, and several times
/// as much in parsed form.
const AHEAD_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a batch, headers included; well above four messages of maximal size.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The messages that the lane has not received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    /// Their number; None before the first message or idle check.
    pub(super) messages: Option<u64>,
    /// When the broker stored the oldest one that was read.
    pub(super) oldest: Option<i64>,
    /// Whether the server confirmed that no delivery was lost.
    pub(super) is_confirmed: bool,
}

enum Request {
    /// The next messages, as soon as there are any.
    Batch {
        reply: oneshot::Sender<Vec<Item>>,
        /// The users whose messages the lane passes over.
        passed: BTreeSet<Uuid>,
    },
    /// Whether the lane has received everything that the stream holds for it now.
    IsDrained(oneshot::Sender<bool>),
}

/// The lane's handle of the task.
#[derive(Debug)]
pub(super) struct Prefetch {
    requests: mpsc::Sender<Request>,
    backlog: watch::Receiver<Backlog>,
    /// Ends when the reader fails, or when this handle is dropped.
    task: JoinHandle<Result<()>>,
}

impl Prefetch {
    pub(super) fn start(reader: Reader, context: Context, key: LaneKey) -> Self {
        let (requests, received) = mpsc::channel(1);
        let (sender, backlog) = watch::channel(Backlog::default());
        let task = Task {
            reader,
            context,
            key,
            requests: received,
            backlog: sender,
            waiting: None,
            passed: BTreeSet::new(),
            ahead: Vec::new(),
            bytes: 0,
            checked_idle: Instant::now(),
        };

        Self {
            requests,
            backlog,
            task: tokio::spawn(task.run()),
        }
    }

    pub(super) fn backlog(&self) -> Backlog {
        *self.backlog.borrow()
    }

    /// Returns the next batch; empty when no message arrived within `wait`. The lane passes over the messages of the users
    /// `passed`.
    pub(super) async fn next_batch(
        &mut self,
        wait: Duration,
        passed: BTreeSet<Uuid>,
    ) -> Result<Vec<Item>> {
        let batch = |reply| Request::Batch { reply, passed };
        let mut batch = self.request(batch).await?;
        match tokio::time::timeout(wait, &mut batch).await {
            Ok(Ok(items)) => Ok(items),
            Ok(Err(_)) => Err(self.failure().await),
            Err(_) => {
                // It may have been sent at this very moment.
                batch.close();
                Ok(batch.try_recv().unwrap_or_default())
            }
        }
    }

    /// Returns whether the lane has received everything that the stream holds for it now.
    pub(super) async fn is_drained(&mut self) -> Result<bool> {
        let response = self.request(Request::IsDrained).await?;
        match response.await {
            Ok(is_drained) => Ok(is_drained),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn request<T>(
        &mut self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<oneshot::Receiver<T>> {
        let (reply, response) = oneshot::channel();
        match self.requests.send(request(reply)).await {
            Ok(()) => Ok(response),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn failure(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::internal("the reader ended before its lane"),
            Err(error) => Error::Internal(error.into()),
        }
    }
}

struct Task {
    reader: Reader,
    context: Context,
    key: LaneKey,
    requests: mpsc::Receiver<Request>,
    backlog: watch::Sender<Backlog>,
    /// The reply to the lane, while it waits for a batch.
    waiting: Option<oneshot::Sender<Vec<Item>>>,
    /// The users whose messages the lane passed over at its last request.
    passed: BTreeSet<Uuid>,
    /// Messages that were read and not handed over.
    ahead: Vec<Item>,
    bytes: usize,
    checked_idle: Instant,
}

impl Task {
    async fn run(mut self) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(Request::Batch { reply, passed }) => {
                        self.waiting = Some(reply);
                        self.passed = passed;
                    }
                    Some(Request::IsDrained(reply)) => drop(reply.send(self.is_drained().await?)),
                    None => return Ok(()),
                },
                message = self.reader.next(), if !self.is_full() => match message {
                    Ok(message) => self.push(message),
                    Err(error) => return self.end(error).await,
                },
            }

            if let Some(reply) = self.waiting.take() {
                self.hand_over(reply).await?;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.ahead.len() >= self.context.batch_events || self.bytes >= AHEAD_BYTES_MAX
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.bytes();
        let item = Item::new(message, self.key.stream, self.context.bare_subjects);
        let is_passed = item
            .publisher
            .is_some_and(|user| self.passed.contains(&user));
        if !is_passed {
            item.work();
        }
        self.ahead.push(item);
        self.update_backlog(false);
    }

    fn update_backlog(&self, is_confirmed: bool) {
        let ahead = u64::try_from(self.ahead.len()).ok();
        let behind = self.reader.behind();
        let oldest = self.ahead.first();
        self.backlog.send_replace(Backlog {
            messages: behind.zip(ahead).map(|(behind, ahead)| behind + ahead),
            oldest: oldest.map(|item| item.message.broker_time),
            is_confirmed,
        });
    }

    /// Hands over everything that was read; when that is nothing, the lane keeps waiting.
    async fn hand_over(&mut self, reply: oneshot::Sender<Vec<Item>>) -> Result<()> {
        if self.ahead.len() < self.context.batch_events {
            self.top_up()?;
        }
        if self.ahead.is_empty() {
            self.waiting = Some(reply);
            return self.check_idle().await;
        }

        self.send(reply, true);
        // The lane begins its transaction before more is read.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Sends everything that was read, and keeps it when the lane has stopped waiting: it will request again.
    fn send(&mut self, reply: oneshot::Sender<Vec<Item>>, is_confirmed: bool) {
        let items = std::mem::take(&mut self.ahead);
        // Before sending, because the lane counts the items it receives as its own immediately.
        self.update_backlog(is_confirmed);
        match reply.send(items) {
            Ok(()) => self.bytes = 0,
            Err(items) => {
                self.ahead = items;
                self.update_backlog(false);
            }
        }
    }

    /// Adds the messages that have arrived, without waiting.
    fn top_up(&mut self) -> Result<()> {
        let limits = BatchLimits {
            events: self.context.batch_events - self.ahead.len(),
            bytes: BATCH_BYTES_MAX.saturating_sub(self.bytes),
        };
        let more = self.reader.ready_batch(&self.context.connection, limits)?;

        self.bytes += more.iter().map(Message::bytes).sum::<usize>();
        // The lane parses those that it takes.
        let stream = self.key.stream;
        let bare = self.context.bare_subjects;
        let items = more.into_iter();
        self.ahead
            .extend(items.map(|message| Item::new(message, stream, bare)));
        Ok(())
    }

    async fn check_idle(&mut self) -> Result<()> {
        if self.checked_idle.elapsed() >= IDLE_CHECK_INTERVAL {
            let waiting = self.query_consumer().await?;
            tracing::trace!(lane = %self.key, waiting, "idle");
        }
        Ok(())
    }

    async fn is_drained(&mut self) -> Result<bool> {
        let waiting = self.query_consumer().await?;
        Ok(self.ahead.is_empty() && waiting == 0 && self.reader.is_complete())
    }

    /// Returns how many messages the server has not delivered yet.
    async fn query_consumer(&mut self) -> Result<u64> {
        let waiting = self.reader.check_idle(&self.context.connection).await?;
        self.checked_idle = Instant::now();
        self.update_backlog(self.reader.is_complete());
        Ok(waiting)
    }

    /// Hands over what was read before the reader failed with `error`.
    async fn end(mut self, error: Error) -> Result<()> {
        // A lane that waits has received everything.
        if self.waiting.is_some() {
            return Err(error);
        }

        while !self.ahead.is_empty() {
            match self.requests.recv().await {
                Some(Request::Batch { reply, .. }) => self.send(reply, false),
                Some(Request::IsDrained(reply)) => drop(reply.send(false)),
                None => return Ok(()),
            }
        }
        Err(error)
    }
}
