//! A trace id leads from a bot's publish to the portal: in logs, statements, live streams and spans.

use crate::live_system::{System, Trace};
use crate::world::World;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tiris_testing::{Process, Span};

const EXIT_LIMIT: Duration = Duration::from_secs(20);

const BOT: Trace = Trace {
    id: "4bf92f3577b34da6a3ce929d0e0e4736",
    span: "00f067aa0ba902b7",
};
const OTHER_BOT: Trace = Trace {
    id: "0af7651916cd43dd8448eb211c80319c",
    span: "b7ad6b7169203331",
};
const THIRD_BOT: Trace = Trace {
    id: "1bf7651916cd43dd8448eb211c80319d",
    span: "c7ad6b7169203332",
};
const PORTAL: Trace = Trace {
    id: "2cf7651916cd43dd8448eb211c80319e",
    span: "d7ad6b7169203333",
};
const REQUEST_ID: &str = "portal-7";

fn log(process: &Process) -> Result<String> {
    Ok(std::fs::read_to_string(process.log_path())?)
}

/// Returns the log lines that contain `text`.
fn lines(process: &Process, text: &str) -> Result<Vec<Value>> {
    log(process)?
        .lines()
        .filter(|line| line.contains(text))
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// Returns whether a line repeats a notice of the server about a statement.
fn is_notice(line: &Value) -> bool {
    line["metadata"]["target"] == "sqlx::postgres::notice"
}

/// Expects a notice of the server about a statement with this text.
fn has_statement(lines: &[Value], statement: &str) -> Result<()> {
    let mut notices = lines.iter().filter(|line| is_notice(line));
    let found = notices.any(|line| line.to_string().contains(statement));
    ensure!(found, "{statement} is missing in {lines:#?}");
    Ok(())
}

fn has_one_message(lines: &[Value], message: &str) -> Result<()> {
    let count = lines
        .iter()
        .filter(|line| line["message"] == message)
        .count();
    ensure!(count == 1, "{message}: {count} of {lines:#?}");
    Ok(())
}

fn only<'a>(spans: &'a [Span], what: &str, wanted: impl Fn(&Span) -> bool) -> Result<&'a Span> {
    let found: Vec<&Span> = spans.iter().filter(|span| wanted(span)).collect();
    ensure!(found.len() == 1, "{what}: {} of {spans:#?}", found.len());
    Ok(found[0])
}

/// Requests a trading as the portal does. Returns its id.
async fn request_trading(system: &System) -> Result<String> {
    let account = json!({"name": "currency", "symbol": "BTC", "initial_deposit": "10"});
    let body = json!({"name": "by hand", "type": "paper", "sub_accounts": [account]});
    let request = system
        .post_trading(&body)?
        .header("X-Request-ID", REQUEST_ID)
        .header("traceparent", PORTAL.header());
    let answer = request.send().await?.error_for_status()?.text().await?;
    let answer: Value = serde_json::from_str(&answer)?;
    let id = answer["data"]["id"].as_str().context("a trading")?;
    Ok(id.to_owned())
}

#[tokio::test]
async fn one_trace_id_leads_from_a_publish_to_the_live_stream() -> Result<()> {
    let mut system = System::start().await?;
    system.publish(OTHER_BOT).await?;
    system.publish(THIRD_BOT).await?;
    let mut worker = system.worker().await?;
    let mut stream = system.follow().await?;

    let event = system.publish(BOT).await?;
    stream.of_trace(BOT.id, &event).await?;
    let trading = request_trading(&system).await?;
    stream.of_trace(REQUEST_ID, &trading).await?;

    drop(stream);
    worker.stops().await?;
    let exit = system.api.process.terminate(EXIT_LIMIT).await?;
    ensure!(exit.success(), "{exit}");
    log_of_a_batch(&worker.process, &system)?;
    log_of_a_batch_of_two_bots(&worker.process)?;
    log_of_the_api(&system)?;
    for process in [&worker.process, &system.api.process] {
        logs_no_secret(process, &system)?;
    }
    let spans = system.collector.spans();
    spans_of_a_bot(&spans)?;
    spans_of_two_bots(&spans)?;
    spans_of_the_portal(&spans)
}

fn log_of_a_batch(worker: &Process, system: &System) -> Result<()> {
    let (statements, others): (Vec<_>, Vec<_>) =
        lines(worker, BOT.id)?.into_iter().partition(is_notice);

    has_statement(&statements, &format!("BEGIN /*trace_id='{}'*/", BOT.id))?;
    let [line] = others.as_slice() else {
        anyhow::bail!("{others:#?}")
    };
    ensure!(line["trace_id"] == BOT.id, "{line:#?}");
    ensure!(line["message"] == "committed", "{line:#?}");
    ensure!(
        line["user_id"] == system.world.user.to_string(),
        "{line:#?}"
    );
    Ok(())
}

fn log_of_a_batch_of_two_bots(worker: &Process) -> Result<()> {
    let lines = lines(worker, OTHER_BOT.id)?;
    let [line] = lines.as_slice() else {
        anyhow::bail!("{lines:#?}")
    };
    let traces = format!("{} {}", OTHER_BOT.id, THIRD_BOT.id);
    ensure!(line["metadata"]["traces"] == traces, "{line:#?}");
    Ok(())
}

fn log_of_the_api(system: &System) -> Result<()> {
    let api = &system.api.process;
    let of_request = lines(api, REQUEST_ID)?;
    let user = system.world.user;
    let begin = format!("BEGIN /*trace_id='{REQUEST_ID}',user_id='{user}'*/");
    has_statement(&of_request, &begin)?;
    has_one_message(&of_request, "answered")?;
    has_one_message(&of_request, "trading created")?;

    let of_bot = lines(api, BOT.id)?;
    let looked = of_bot
        .iter()
        .any(|line| line["message"] == "polled for a live stream");
    ensure!(looked, "{of_bot:#?}");
    Ok(())
}

fn logs_no_secret(process: &Process, system: &System) -> Result<()> {
    let log = log(process)?;
    for secret in [&system.api.token, "alice@"] {
        ensure!(!log.contains(secret), "{} logs {secret}", process.name());
    }
    Ok(())
}

/// Checks the spans: publish -> batch -> commit -> statement, and over NATS to the live stream.
fn spans_of_a_bot(spans: &[Span]) -> Result<()> {
    let batch = only(spans, "batch", |span| {
        span.name == "batch" && span.trace == BOT.id
    })?;
    ensure!(batch.service == "tiris-ingest", "{batch:?}");
    ensure!(batch.parent == BOT.span, "{batch:?}");

    let commit = only(spans, "commit", |span| {
        span.name == "commit" && span.parent == batch.id
    })?;
    let statement = only(spans, "statement", |span| {
        span.name == "insert transactions" && span.parent == commit.id
    })?;
    ensure!(statement.trace == BOT.id, "{statement:?}");

    let live = only(spans, "live", |span| {
        span.name == "live" && span.trace == BOT.id
    })?;
    ensure!(live.service == "tiris-api", "{live:?}");
    ensure!(live.parent == batch.id, "{live:?}");
    Ok(())
}

fn spans_of_two_bots(spans: &[Span]) -> Result<()> {
    let batch = only(spans, "the batch of two", |span| {
        span.links.len() == 2 && span.name == "batch"
    })?;
    let linked: BTreeSet<&str> = batch.links.iter().map(String::as_str).collect();
    let expected = BTreeSet::from([OTHER_BOT.id, THIRD_BOT.id]);
    ensure!(linked == expected, "{batch:?}");
    ensure!(batch.parent.is_empty(), "{batch:?}");
    Ok(())
}

/// Checks the spans: request -> statement, under the trace the portal began.
fn spans_of_the_portal(spans: &[Span]) -> Result<()> {
    let request = only(spans, "request", |span| span.name == "POST /v1/tradings")?;
    ensure!(request.trace == PORTAL.id, "{request:?}");
    ensure!(request.parent == PORTAL.span, "{request:?}");

    let statement = only(spans, "statement", |span| {
        span.name == "insert tradings" && span.parent == request.id
    })?;
    ensure!(statement.trace == PORTAL.id, "{statement:?}");

    let live = only(spans, "live", |span| {
        span.name == "live" && span.trace == PORTAL.id
    })?;
    ensure!(live.parent == request.id, "{live:?}");
    Ok(())
}

/// Returns the values of a field of the metadata in the lines with this message, which must name the world's user.
fn of_user<'a>(
    lines: &'a [Value],
    message: &str,
    field: &str,
    world: &World,
) -> Result<Vec<&'a Value>> {
    let with_message = lines.iter().filter(|line| line["message"] == message);
    let mut values = Vec::new();
    for line in with_message {
        ensure!(line["user_id"] == world.user.to_string(), "{line:#?}");
        values.push(&line["metadata"][field]);
    }
    Ok(values)
}

#[tokio::test]
async fn the_log_names_users_with_dead_letters_and_users_who_exceed_their_quota() -> Result<()> {
    const CREDITS: u32 = 90;
    let world = World::new().await?;
    let refused = [world.btc_debit("9"), world.btc_debit("8")];
    world.send_burst(&refused).await?;
    world.send_bytes("no JSON").await?;
    world.send_credits(CREDITS).await?;

    // Twenty at once.
    let mut worker = world.worker_with(&[("TIRIS_USER_EVENTS_PER_MINUTE", "200")])?;
    world.btc_reaches(&CREDITS.to_string()).await?;
    world.rows_reach("lane_detours", 0).await?;
    worker.stops().await?;
    let lines = lines(&worker.process, "")?;

    let codes = of_user(&lines, "dead letters stored", "codes", &world)?;
    let codes: Vec<&str> = codes.into_iter().filter_map(Value::as_str).collect();
    let codes = codes.join(" ");
    ensure!(codes.contains("INSUFFICIENT_BALANCE="), "{codes}");
    ensure!(codes.contains("NOT_JSON=1"), "{codes}");
    for message in [
        "a user exceeds the quota of messages or bytes: their events are processed beside those of others",
        "the events of a user are no longer behind those of others",
    ] {
        let found = of_user(&lines, message, "lane", &world)?;
        ensure!(!found.is_empty(), "{message} is missing in {lines:#?}");
    }
    // Batches have lines, events have none.
    let about_user = lines
        .iter()
        .filter(|line| line["user_id"] == world.user.to_string());
    let count = about_user.count();
    ensure!(count < 45, "{count} lines: {lines:#?}");
    Ok(())
}
