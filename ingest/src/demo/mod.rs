//! The demo bot: trades a moving-average crossover and publishes what a bot would, to see the whole system work.
//!
//! Owns: one run of the bot from its settings to its report. Must not know: how ingest applies events; it meets the
//! system only where bots and users do, at NATS and at the REST API, and keeps books of its own to compare with.

mod api;
mod book;
mod bot;
mod candles;
mod message;
mod progress;
mod publish;
mod report;
mod series;
mod settings;
mod setup;
mod strategy;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_nats;
mod verify;

pub use settings::DemoArgs;

use bot::Bot;
use candles::Feed;
use chrono::Utc;
use message::{Message, Writer};
use progress::Progress;
use publish::{Delivery, Pace, Publisher};
use series::Series;
use settings::Settings;
use setup::Place;
use strategy::Crossover;
use tokio_util::sync::CancellationToken;

/// Runs the bot until its candles end or `stop`; prints what it sent and what it expects.
///
/// Fails when NATS or the API cannot be used, and when the balances were to be verified and differ.
pub async fn run(args: DemoArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let settings = args.check()?;
    let feed = open_feed(&settings)?;
    let api = api::Api::new(&settings.api_url, settings.token.clone())?;
    let name = settings.trading.clone().unwrap_or_else(|| {
        setup::name_for(
            settings.candles.as_deref(),
            &settings.symbol,
            settings.fast,
            settings.slow,
        )
    });
    let repeatable = settings.candles.is_some();
    let place = setup::find_or_make(&api, &name, &settings.symbol, feed.begins()).await?;
    if let Some(user) = settings.user.filter(|user| *user != place.user) {
        anyhow::bail!("USER_ID is {user}, but TOKEN belongs to {}", place.user);
    }
    eprintln!(
        "trading {} on {:?} ({})",
        report::symbol(&place),
        place.name,
        place.trading
    );

    let bot = make_bot(&settings, place)?;
    let publisher = Publisher::connect(&settings.nats, stop.clone()).await?;
    let mut session = Session {
        bot,
        publisher,
        pace: settings.rate.map(Pace::new),
        progress: Progress::of_candles(feed.remaining()),
        stop: stop.clone(),
        unsent: 0,
    };
    let outcome = session.trade(feed, repeatable).await;
    let Session {
        bot,
        publisher,
        progress,
        unsent,
        ..
    } = session;
    let elapsed = progress.elapsed();
    drop(progress);
    report::print(&bot, &publisher.tally, unsent, elapsed);
    outcome?;
    match settings.verify {
        Some(timeout) if !stop.is_cancelled() => {
            verify::verify(&api, &[&bot.stock, &bot.currency], timeout, &stop).await
        }
        Some(_) => anyhow::bail!("stopped before the end, so the balances were not verified"),
        None => Ok(()),
    }
}

fn open_feed(settings: &Settings) -> anyhow::Result<Feed> {
    match &settings.candles {
        Some(path) => {
            let mut candles = candles::read(path)?;
            let limit = settings.limit.and_then(|limit| usize::try_from(limit).ok());
            candles.truncate(limit.unwrap_or(usize::MAX));
            Ok(Feed::File(candles.into_iter()))
        }
        None => Ok(Feed::Made {
            series: Series::new(settings.seed),
            left: settings.limit,
        }),
    }
}

fn make_bot(settings: &Settings, place: Place) -> anyhow::Result<Bot> {
    let Place {
        user,
        trading,
        stock,
        currency,
        ..
    } = place;
    let writer = match settings.candles {
        Some(_) => Writer::counted(user, trading),
        None => Writer::fresh(user, trading),
    };
    Bot::new(
        writer,
        stock,
        currency,
        Crossover::new(settings.fast, settings.slow),
    )
}

/// One run, while it trades.
struct Session {
    bot: Bot,
    publisher: Publisher,
    /// `None` is a burst.
    pace: Option<Pace>,
    progress: Progress,
    stop: CancellationToken,
    /// Events the bot's book counts but NATS did not take.
    unsent: usize,
}

impl Session {
    /// Trades candle by candle. A stop takes effect between two candles, so no order is left half told; a run that is
    /// not `repeatable` also cancels its open order then, since nobody else would release what it holds.
    async fn trade(&mut self, feed: Feed, repeatable: bool) -> anyhow::Result<()> {
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

    async fn send_all(&mut self, messages: Vec<Message>) -> anyhow::Result<Delivery> {
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
