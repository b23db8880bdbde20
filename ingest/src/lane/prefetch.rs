//! Reads and parses the next batch while one is committed, in a task of its own.
//!
//! The lane asks for each batch by a bounded channel, and the task answers with what it has read. So nothing is sent before
//! the lane is ready for it, and a batch is as large as it can be by then.

use crate::connection::Connection;
use crate::plan::{Item, plan};
use crate::stream::{BatchLimits, Message, Reader};
use std::time::{Duration, Instant};
use tiris_domain::event::BareSubjects;
use tiris_domain::lane::LaneKey;
use tiris_store::error::{Error, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// This long a first message is waited for.
const READ_WAIT: Duration = Duration::from_secs(1);
/// While nothing comes, the server is asked this often whether a delivery was lost.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes that are read ahead, those of a usual batch: every lane of a pod holds as much besides its batch, and in parsed
/// form several times as much.
const AHEAD_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a batch, headers included; well above four messages of maximal size.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the messages of a lane are read and parsed by.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) connection: Connection,
    pub(super) key: LaneKey,
    pub(super) bare_subjects: BareSubjects,
    /// Upper bound of a batch, in events.
    pub(super) batch_events: usize,
}

/// What is known of the messages that the lane has not received.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backlog {
    /// How many there are; none before the first message or idle check.
    pub(super) messages: Option<u64>,
    /// When the broker took the oldest one that was read.
    pub(super) oldest: Option<i64>,
    /// Whether the server confirmed that nothing was lost while nothing came.
    pub(super) is_confirmed: bool,
}

enum Request {
    /// The next messages, as soon as there are any.
    Batch(oneshot::Sender<Vec<Item>>),
    /// Whether the lane has received all that the stream holds for it at this moment.
    IsDrained(oneshot::Sender<bool>),
}

/// The lane's end of the task.
#[derive(Debug)]
pub(super) struct Prefetch {
    requests: mpsc::Sender<Request>,
    backlog: watch::Receiver<Backlog>,
    /// Ends when the reader fails, or this is dropped.
    task: JoinHandle<Result<()>>,
}

impl Prefetch {
    pub(super) fn start(reader: Reader, scope: Scope) -> Self {
        let (requests, received) = mpsc::channel(1);
        let (sender, backlog) = watch::channel(Backlog::default());
        let task = Task {
            reader,
            scope,
            requests: received,
            backlog: sender,
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

    /// The next batch; empty when no message came in time.
    pub(super) async fn next_batch(&mut self) -> Result<Vec<Item>> {
        let (reply, mut batch) = oneshot::channel();
        if self.requests.send(Request::Batch(reply)).await.is_err() {
            return Err(self.failure().await);
        }

        match tokio::time::timeout(READ_WAIT, &mut batch).await {
            Ok(Ok(items)) => Ok(items),
            Ok(Err(_)) => Err(self.failure().await),
            Err(_) => {
                // It may have been sent at this very moment.
                batch.close();
                Ok(batch.try_recv().unwrap_or_default())
            }
        }
    }

    /// Whether the lane has received all that the stream holds for it at this moment.
    pub(super) async fn is_drained(&mut self) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        if self.requests.send(Request::IsDrained(reply)).await.is_err() {
            return Err(self.failure().await);
        }

        match answer.await {
            Ok(is_drained) => Ok(is_drained),
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
    scope: Scope,
    requests: mpsc::Receiver<Request>,
    backlog: watch::Sender<Backlog>,
    /// Read, and not handed over.
    ahead: Vec<Item>,
    bytes: usize,
    checked_idle: Instant,
}

impl Task {
    async fn run(mut self) -> Result<()> {
        let mut waiting: Option<oneshot::Sender<Vec<Item>>> = None;
        loop {
            tokio::select! {
                biased;
                request = self.requests.recv() => match request {
                    Some(Request::Batch(reply)) => waiting = Some(reply),
                    Some(Request::IsDrained(reply)) => drop(reply.send(self.is_drained().await?)),
                    None => return Ok(()),
                },
                message = self.reader.next(), if !self.is_full() => match message {
                    Ok(message) => self.push(message),
                    Err(error) => return self.end(waiting, error).await,
                },
            }

            waiting = match waiting {
                Some(reply) => self.hand_over(reply).await?,
                None => None,
            };
        }
    }

    fn is_full(&self) -> bool {
        self.ahead.len() >= self.scope.batch_events || self.bytes >= AHEAD_BYTES_MAX
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.bytes();
        let item = Item::parse(message, self.scope.key.stream, self.scope.bare_subjects);
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

    /// Sends all that is there, or returns the reply when that is nothing.
    async fn hand_over(
        &mut self,
        reply: oneshot::Sender<Vec<Item>>,
    ) -> Result<Option<oneshot::Sender<Vec<Item>>>> {
        if self.ahead.len() < self.scope.batch_events {
            self.top_up()?;
        }
        if self.ahead.is_empty() {
            self.check_idle().await?;
            return Ok(Some(reply));
        }

        // Told first: the lane counts what it is given as its own at once.
        let items = std::mem::take(&mut self.ahead);
        self.update_backlog(true);
        match reply.send(items) {
            Ok(()) => self.bytes = 0,
            // The lane has stopped waiting, and will ask again.
            Err(items) => {
                self.ahead = items;
                self.update_backlog(false);
            }
        }
        // The lane begins its transaction before more is read.
        tokio::task::yield_now().await;
        Ok(None)
    }

    /// Takes what has arrived besides, and waits for nothing.
    fn top_up(&mut self) -> Result<()> {
        let limits = BatchLimits {
            events: self.scope.batch_events - self.ahead.len(),
            bytes: BATCH_BYTES_MAX.saturating_sub(self.bytes),
        };
        let more = self.reader.ready_batch(&self.scope.connection, limits)?;

        self.bytes += more.iter().map(Message::bytes).sum::<usize>();
        let items = plan(more, self.scope.key.stream, self.scope.bare_subjects);
        self.ahead.extend(items);
        Ok(())
    }

    async fn check_idle(&mut self) -> Result<()> {
        if self.checked_idle.elapsed() < IDLE_CHECK_INTERVAL {
            return Ok(());
        }

        let waiting = self.reader.check_idle(&self.scope.connection).await?;
        tracing::trace!(lane = %self.scope.key, waiting, "idle");
        self.checked_idle = Instant::now();
        self.update_backlog(self.reader.is_complete());
        Ok(())
    }

    async fn is_drained(&mut self) -> Result<bool> {
        let waiting = self.reader.check_idle(&self.scope.connection).await?;
        self.checked_idle = Instant::now();
        self.update_backlog(self.reader.is_complete());

        Ok(self.ahead.is_empty() && waiting == 0 && self.reader.is_complete())
    }

    /// Hands over what was read before the reader failed with `error`.
    async fn end(
        mut self,
        waiting: Option<oneshot::Sender<Vec<Item>>>,
        error: Error,
    ) -> Result<()> {
        if let Some(reply) = waiting {
            // The lane waits, so nothing was read.
            drop(reply);
            return Err(error);
        }

        while !self.ahead.is_empty() {
            match self.requests.recv().await {
                Some(Request::Batch(reply)) => {
                    let items = std::mem::take(&mut self.ahead);
                    self.update_backlog(false);
                    if let Err(items) = reply.send(items) {
                        self.ahead = items;
                        self.update_backlog(false);
                    }
                }
                Some(Request::IsDrained(reply)) => drop(reply.send(false)),
                None => return Ok(()),
            }
        }
        Err(error)
    }
}
