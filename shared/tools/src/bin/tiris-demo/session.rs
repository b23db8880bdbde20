//! One run of the bot, candle by candle.

use crate::bot::Bot;
use crate::candles::Candle;
use crate::message::Message;
use crate::progress::Progress;
use crate::publish::{Pace, Publisher};
use anyhow::Result;
use chrono::Utc;
use tokio_util::sync::CancellationToken;

/// A run while it trades.
pub(crate) struct Session {
    pub(crate) bot: Bot,
    pub(crate) publisher: Publisher,
    /// `None` is a burst.
    pub(crate) pace: Option<Pace>,
    pub(crate) progress: Progress,
    pub(crate) stop: CancellationToken,
    /// Events the bot's accounts include but NATS did not accept.
    pub(crate) unsent: usize,
}

impl Session {
    /// Trades candle by candle. A stop takes effect between two candles, so that each order is published whole; a run
    /// that is not `repeatable` then cancels its open order, because no later run would release its hold.
    pub(crate) async fn trade(
        &mut self,
        candles: impl Iterator<Item = Candle>,
        repeatable: bool,
    ) -> Result<()> {
        for candle in candles {
            if self.stop.is_cancelled() {
                break;
            }
            let messages = self.bot.on_candle(&candle)?;
            if !self.send_all(messages).await? {
                return Ok(());
            }
            self.progress.advance();
        }

        if !repeatable {
            let messages = self.bot.cancel_unfilled(Utc::now());
            if !self.send_all(messages).await? {
                return Ok(());
            }
        }

        if !self.publisher.settle(0, &self.progress).await? {
            self.progress
                .note("stopped before every signal was acknowledged");
        }
        Ok(())
    }

    /// Publishes in order; `false` when the bot was stopped before.
    pub(crate) async fn send_all(&mut self, messages: Vec<Message>) -> Result<bool> {
        self.unsent = messages.len();
        for message in messages {
            if let Some(pace) = &mut self.pace {
                pace.wait(&self.stop).await;
            }
            if !self.publisher.send(message, &self.progress).await? {
                return Ok(false);
            }
            self.unsent -= 1;
            let tally = &self.publisher.tally;
            self.progress.show(tally.summary(self.progress.elapsed()));
        }
        Ok(true)
    }
}
