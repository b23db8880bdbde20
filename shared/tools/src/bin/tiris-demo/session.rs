//! One run of the bot, candle by candle.

use crate::bot::Bot;
use crate::candles::Feed;
use crate::message::Message;
use crate::progress::Progress;
use crate::publish::{Delivery, Pace, Publisher};
use crate::report;
use chrono::Utc;
use tokio_util::sync::CancellationToken;

/// One run, while it trades.
pub(crate) struct Session {
    pub(crate) bot: Bot,
    pub(crate) publisher: Publisher,
    /// `None` is a burst.
    pub(crate) pace: Option<Pace>,
    pub(crate) progress: Progress,
    pub(crate) stop: CancellationToken,
    /// Events the bot's book counts but NATS did not take.
    pub(crate) unsent: usize,
}

impl Session {
    /// Trades candle by candle. A stop takes effect between two candles, so no order is left half told; a run that is
    /// not `repeatable` also cancels its open order then, since nobody else would release what it holds.
    pub(crate) async fn trade(&mut self, feed: Feed, repeatable: bool) -> anyhow::Result<()> {
        for candle in feed {
            if self.stop.is_cancelled() {
                break;
            }
            let messages = self.bot.on_candle(&candle)?;
            if let Delivery::Stopped = self.send_all(messages).await? {
                return Ok(());
            }
            self.progress.advance();
        }

        if !repeatable {
            let messages = self.bot.cancel_unfilled(Utc::now());
            if let Delivery::Stopped = self.send_all(messages).await? {
                return Ok(());
            }
        }

        if let Delivery::Stopped = self.publisher.settle(&self.progress).await? {
            self.progress
                .note("stopped before every signal was acknowledged");
        }

        Ok(())
    }

    pub(crate) async fn send_all(&mut self, messages: Vec<Message>) -> anyhow::Result<Delivery> {
        self.unsent = messages.len();
        for message in messages {
            if let Some(pace) = &mut self.pace {
                pace.wait(&self.stop).await;
            }
            if let Delivery::Stopped = self.publisher.send(message, &self.progress).await? {
                return Ok(Delivery::Stopped);
            }
            self.unsent -= 1;
            self.progress.say(report::pulse(
                &self.publisher.tally,
                self.progress.elapsed(),
            ));
        }

        Ok(Delivery::Done)
    }
}
