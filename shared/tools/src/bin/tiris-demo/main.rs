//! `tiris-demo`, the demo bot: trades a moving-average crossover and publishes what a bot would, to see the whole system work.
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
mod session;
mod settings;
mod setup;
mod strategy;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_nats;
mod verify;

use bot::Bot;
use candles::Feed;
use clap::Parser;
use message::Writer;
use progress::Progress;
use publish::{Pace, Publisher};
use series::Series;
use session::Session;
use settings::{DemoArgs, Settings};
use setup::Place;
use std::process::ExitCode;
use std::time::Duration;
use strategy::Crossover;
use tiris_runtime::shutdown;
use tiris_tools::{ApiClient, exit_code};

/// One request to the API.
const CALL_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    let outcome = run(&DemoArgs::parse()).await;
    exit_code("tiris-demo", outcome.map(|()| true))
}

/// Runs the bot until its candles end or `stop`; prints what it sent and what it expects.
///
/// Fails when NATS or the API cannot be used, and when the balances were to be verified and differ.
async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let stop = shutdown::on_signals()?;
    let settings = args.check()?;
    let feed = open_feed(&settings)?;
    let client = ApiClient::new(&settings.api_url, settings.token.clone(), CALL_LIMIT)?;
    let place = open_place(&settings, &client, &feed).await?;

    let mut session = Session {
        bot: make_bot(&settings, place)?,
        publisher: Publisher::connect(&settings.nats, stop.clone()).await?,
        pace: settings.rate.map(Pace::new),
        progress: Progress::of_candles(feed.remaining()),
        stop: stop.clone(),
        unsent: 0,
    };
    let outcome = session.trade(feed, settings.candles.is_some()).await;
    let elapsed = session.progress.elapsed();
    drop(session.progress);
    let bot = session.bot;
    report::print(&bot, &session.publisher.tally, session.unsent, elapsed);
    outcome?;

    match settings.verify {
        Some(timeout) if !stop.is_cancelled() => {
            verify::verify(&client, &[&bot.stock, &bot.currency], timeout, &stop).await
        }
        Some(_) => anyhow::bail!("stopped before the end, so the balances were not verified"),
        None => Ok(()),
    }
}

/// Finds or makes the trading of the bot, and prints which it is.
async fn open_place(settings: &Settings, client: &ApiClient, feed: &Feed) -> anyhow::Result<Place> {
    let name = settings.trading.clone().unwrap_or_else(|| {
        setup::name_for(
            settings.candles.as_deref(),
            &settings.symbol,
            settings.fast,
            settings.slow,
        )
    });
    let place = setup::find_or_make(client, &name, &settings.symbol, feed.begins()).await?;
    if let Some(user) = settings.user.filter(|user| *user != place.user) {
        anyhow::bail!("USER_ID is {user}, but TOKEN belongs to {}", place.user);
    }

    let symbol = report::symbol(&place);
    eprintln!("trading {symbol} on {:?} ({})", place.name, place.trading);
    Ok(place)
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
    let writer = match settings.candles {
        Some(_) => Writer::counted(place.user, place.trading),
        None => Writer::fresh(place.user, place.trading),
    };
    let crossover = Crossover::new(settings.fast, settings.slow);
    Bot::new(writer, place.stock, place.currency, crossover)
}
