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
use strategy::Crossover;
use tiris_runtime::shutdown;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tiris-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let args = DemoArgs::parse();
    let stop = shutdown::on_signals()?;
    run(args, stop).await
}

/// Runs the bot until its candles end or `stop`; prints what it sent and what it expects.
///
/// Fails when NATS or the API cannot be used, and when the balances were to be verified and differ.
async fn run(args: DemoArgs, stop: CancellationToken) -> anyhow::Result<()> {
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
