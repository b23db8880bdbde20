//! `tiris-demo`, the demo bot: trades a moving-average crossover and publishes its events, to see the whole system work.
//!
//! Must not know: how ingest applies events. It uses the system only as bots and users do, by NATS and the REST API, and
//! computes the balances by itself to compare.

mod account;
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

use anyhow::{Result, bail, ensure};
use bot::Bot;
use candles::Candle;
use chrono::{DateTime, Utc};
use clap::Parser;
use message::Writer;
use progress::Progress;
use publish::{Pace, Publisher};
use series::Series;
use session::Session;
use settings::Settings;
use setup::Place;
use std::process::ExitCode;
use std::time::Duration;
use strategy::Crossover;
use tiris_runtime::config::Problems;
use tiris_runtime::shutdown;
use tiris_tools::{ApiClient, exit_code};

/// Limit of one request to the API.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    tiris_runtime::tls::choose_provider();
    let outcome = run(&Settings::parse()).await;
    exit_code("tiris-demo", outcome.map(|()| true))
}

/// Runs the bot until its candles end or a signal, prints the events sent and the expected balances, and verifies them
/// when requested.
async fn run(settings: &Settings) -> Result<()> {
    settings.check()?;
    let stop = shutdown::on_signals()?;
    let mut problems = Problems::default();
    let nats = settings.nats.check(None, &mut problems);
    let nats = problems.finish(nats)?;

    let limit = settings.limit.unwrap_or(usize::MAX);
    let path = settings.candles.as_deref();
    let file = path.map(|path| candles::read(path, limit)).transpose()?;
    let begin = file.as_ref().and_then(|candles| candles.first());

    let client = ApiClient::new(&settings.api_url, settings.token.clone(), REQUEST_LIMIT)?;
    let place = open_place(settings, &client, begin.map(|candle| candle.time)).await?;

    let writer = Writer::new(place.trading.user_id, place.trading.id, file.is_some());
    let crossover = Crossover::new(settings.fast, settings.slow);
    let mut session = Session {
        bot: Bot::new(writer, place.stock, place.currency, crossover)?,
        publisher: Publisher::connect(&nats, place.trading.user_id, &stop).await?,
        pace: (!settings.burst).then(|| Pace::new(settings.rate)),
        progress: Progress::new(file.as_ref().map(Vec::len).or(settings.limit)),
        stop: stop.clone(),
        unsent: 0,
    };

    let outcome = match file {
        Some(candles) => session.trade(candles.into_iter(), true).await,
        None => {
            let prices = Series::new(settings.seed).take(limit);
            session.trade(prices.map(Candle::now), false).await
        }
    };
    let elapsed = session.progress.elapsed();
    drop(session.progress);
    let bot = session.bot;
    report::print(&bot, &session.publisher.tally, session.unsent, elapsed);
    outcome?;

    if !settings.verify {
        return Ok(());
    }
    ensure!(
        !stop.is_cancelled(),
        "stopped before the end, so the balances were not verified"
    );
    let timeout = Duration::from_secs(settings.verify_timeout);
    report::verify(&client, &[&bot.stock, &bot.currency], timeout, &stop).await
}

/// Finds or creates the trading of the bot, and prints which it is.
async fn open_place(
    settings: &Settings,
    client: &ApiClient,
    opened: Option<DateTime<Utc>>,
) -> Result<Place> {
    let pair = settings.symbol()?;
    let name = settings.trading_name(&pair);
    let place = setup::find_or_create(client, &name, &pair, opened).await?;

    let user = place.trading.user_id;
    let wanted = settings.user_id.as_deref().filter(|id| !id.is_empty());
    if let Some(wanted) = wanted.filter(|id| id.parse() != Ok(user)) {
        bail!("USER_ID is {wanted}, but TOKEN belongs to {user}");
    }
    eprintln!("trading {pair} in {name:?} ({})", place.trading.id);
    Ok(place)
}
