//! FILLS: a backlog of orders as bots send them, beside PostgreSQL with the same rows.

use crate::figure::{Line, Samples, Target, Unit};
use crate::limit;
use crate::publish::{Events, Load};
use crate::site::{Bench, LOG, Outcome, remove_broker, start_broker};
use crate::stage::Database;
use crate::worker::{self, Backlog, Drained};
use anyhow::{Result, ensure};
use tiris_tools::{BookedRows, OrderFlow, bot_url, check_rows, count_rows, verify_books};

/// As many accounts as in S1.
const FLOW: OrderFlow = OrderFlow { tradings: 1_000 };
/// Minimum rate relative to the limit, in thousandths.
const LEAST_OF_LIMIT: u64 = 600;
/// Rows that no load of this kind leaves behind.
const UNEXPECTED: [&str; 3] = [
    "orders WHERE status <> 'filled'",
    "holds",
    "trading_logs WHERE drift IS NOT NULL",
];

/// The figures of all rounds.
#[derive(Default)]
struct Measured {
    rates: Samples,
    limits: Samples,
    batches: Samples,
    connections: Samples,
}

pub(crate) async fn run(bench: &Bench) -> Result<Outcome> {
    let events = FLOW.round_up(bench.sizes.events);
    let mut all = Measured::default();
    for round in 1..=bench.sizes.repeat {
        bench.phase(&format!("FILLS: backlog, round {round}"))?;
        let drained = backlog(bench, events).await?;
        all.rates.add(drained.rate());
        all.batches.add(drained.batch);
        all.connections.add(drained.connections);

        bench.phase(&format!("FILLS: limit, round {round}"))?;
        all.limits.add(limit(bench, events, &drained).await?);
    }

    let what = format!("ingest of orders, events of {} tradings", FLOW.tradings);
    let note = format!(
        "{events} events, batches of {}, {} connections in both",
        all.batches.show(Unit::Count),
        all.connections.show(Unit::Count)
    );
    let fills = |events: &Samples| Samples(events.0.iter().map(|rate| FLOW.fills(*rate)).collect());
    let line_of_fills = Line::rate("the same, fills", fills(&all.rates), fills(&all.limits));
    let line = Line::rate(what, all.rates, all.limits)
        .target(Target::RatioAtLeast(LEAST_OF_LIMIT))
        .note(note);
    Ok(vec![line, line_of_fills].into())
}

/// Creates a database with the tradings.
async fn database(bench: &Bench) -> Result<Database> {
    let database = bench.stage.empty_database().await?;
    FLOW.create(&database.pool).await?;
    Ok(database)
}

/// Drains a backlog of `events` on a new database and checks the books.
async fn backlog(bench: &Bench, events: u64) -> Result<Drained> {
    let stage = &bench.stage;
    let database = database(bench).await?;
    let nats = start_broker(stage, &database).await?;
    let published = Events {
        nats_url: bot_url(nats.port()),
        load: Load::Orders(FLOW),
        numbers: 0..events,
        rate: 0,
    };
    published.publish().await?;

    let backlog = Backlog {
        events,
        postings: FLOW.postings(events),
    };
    let drained = worker::drain(stage, &database, &nats, backlog, LOG).await?;
    remove_broker(nats).await?;
    check_and_drop(bench, database, events).await?;
    Ok(drained)
}

/// Measures the limit in the shape of the backlog.
async fn limit(bench: &Bench, events: u64, drained: &Drained) -> Result<u64> {
    let batch = drained.batch.max(1);
    let connections = u32::try_from(drained.connections.max(1))?;
    let load = Load::Orders(FLOW);

    let database = database(bench).await?;
    let rate = limit::rate(&database, load, 0..events, batch, connections).await?;
    check_and_drop(bench, database, events).await?;
    Ok(rate)
}

/// Checks that the books hold all events, that all orders are filled, and that all rows agree.
async fn check_and_drop(bench: &Bench, database: Database, events: u64) -> Result<()> {
    let expected = BookedRows {
        postings: FLOW.tradings + FLOW.postings(events),
        logs: FLOW.tradings + events,
    };
    check_rows(&database.pool, expected).await?;
    for rows in UNEXPECTED {
        let count = count_rows(&database.pool, rows).await?;
        ensure!(count == 0, "{count} rows of {rows}");
    }
    verify_books(&database.url).await?;
    bench.stage.drop(database).await
}
