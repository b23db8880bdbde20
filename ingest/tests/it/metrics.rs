//! The metrics of both programs match the catalog and are valid for Prometheus.

use crate::http::get;
use crate::live_system::System;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use tiris_domain::event::Kind;
use tiris_runtime::metrics::catalog::{METRICS, Program};
use tiris_testing::find_promtool;

const OF_INGEST: [&str; 22] = [
    "ingest_events_total{stream=\"TRADING\",type=\"balance_updated\",outcome=\"applied\"} ",
    "ingest_events_total{stream=\"TRADING_SYSTEM\",type=\"signal\",outcome=\"dead\"} 1",
    "ingest_dead_letters_total{stream=\"TRADING_SYSTEM\",class=\"malformed\",code=\"",
    "ingest_publish_to_commit_seconds_count{stream=\"TRADING\"} ",
    "ingest_lanes{stream=\"TRADING\",status=\"running\"} 3",
    "database_query_duration_seconds_count{statement=\"insert transactions\"} ",
    "database_connections_max{pool=\"primary\"} 10",
    "ledger_transactions_total{direction=\"credit\"} ",
    "tiris_users{status=\"active\"} 1",
    "tiris_tradings{type=\"paper\",status=\"active\"} 1",
    "ingest_lanes_configured{stream=\"TRADING\"} 3",
    "ingest_cursor_mismatches_total{stream=\"TRADING\",kind=\"gap\"} 0",
    "ingest_gap_messages_total{stream=\"TRADING\",lane=\"2\"} 0",
    "ingest_dead_letters_total{stream=\"TRADING\",class=\"rejected\",code=\"INTERNAL\"} 0",
    "ingest_stream_bytes_max{stream=\"TRADING_DLQ\"} 1073741824",
    "ingest_stream_subject_messages_max{stream=\"TRADING\"} 2000000",
    "ingest_stream_user_bytes_max{stream=\"TRADING\"} 974848000000",
    "ingest_lanes_lost_total{stream=\"TRADING\"} 0",
    "database_acquire_timeouts_total 0",
    "dependency_up{dependency=\"lanes\",needed=\"true\"} 1",
    "nats_connected 1",
    "log_lines_total{level=\"warn\"} ",
];

const OF_API: [&str; 7] = [
    "http_errors_total{code=\"",
    "http_requests_total{method=\"GET\",path=\"/v1/stream\",status=\"200\"} 1",
    "http_requests_in_flight 0",
    "http_connections ",
    "api_live_streams 1",
    "dependency_up{dependency=\"database\",needed=\"true\"} 1",
    "build_info{service=\"tiris-api\",version=\"",
];

#[tokio::test]
async fn the_metrics_of_both_programs_match_the_catalog() -> Result<()> {
    let system = System::start().await?;
    let world = &system.world;
    let worker = system.worker().await?;
    let _stream = system.follow().await?;

    let signal = Kind::Signal.subject_of(world.user);
    world.publish(&signal, &json!({"broken": true})).await?;
    let refused = system.post_trading(&json!({}))?.send().await?;
    ensure!(refused.status().is_client_error(), "{refused:?}");

    for line in OF_INGEST {
        worker.counts(line).await?;
    }
    match_the_catalog(&worker.metrics().await?, Program::Ingest)?;
    let api = get(&format!("{}/metrics", system.api.admin)).await?;
    for line in OF_API {
        let found = api.lines().any(|found| found.starts_with(line));
        ensure!(found, "{line} is missing in: {api}");
    }
    match_the_catalog(&api, Program::Api)?;
    are_valid_for_prometheus(&worker.metrics().await?)?;
    are_valid_for_prometheus(&api)
}

/// Compares the metrics of a process with the catalog.
fn match_the_catalog(text: &str, program: Program) -> Result<()> {
    let mut kinds = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').context("a kind")?;
        kinds.insert(name, kind);
    }
    for (name, kind) in kinds {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.with_context(|| format!("{name} is not in the catalog"))?;
        ensure!(metric.kind.name() == kind, "{name} is a {kind}");
        let reports = metric.program == program || metric.program == Program::Both;
        ensure!(reports, "{name} in {program:?}");

        let expected = metric.labels.iter().copied().collect();
        for line in text.lines().filter(|line| is_sample(line, name)) {
            ensure!(labels(line) == expected, "labels of {line}");
        }
    }
    Ok(())
}

fn is_sample(line: &str, name: &str) -> bool {
    let rest = line.strip_prefix(name).unwrap_or_default();
    let rest = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|end| rest.strip_prefix(end))
        .unwrap_or(rest);
    rest.starts_with(['{', ' '])
}

/// Returns the label names of a sample, without the bound of a bucket.
fn labels(line: &str) -> BTreeSet<&str> {
    let labels = line
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'))
        .map(|(labels, _)| labels);
    let labels = labels.into_iter().flat_map(|labels| labels.split("\","));
    labels
        .filter_map(|label| label.split('=').next())
        .filter(|name| *name != "le")
        .collect()
}

/// Checks the metrics with promtool, if it is installed.
fn are_valid_for_prometheus(text: &str) -> Result<()> {
    let Some(promtool) = find_promtool() else {
        let required = std::env::var("TIRIS_PROMTOOL").as_deref() == Ok("required");
        ensure!(!required, "promtool is missing");
        // Directly, because the test runner shows printed lines only when a test fails.
        std::io::stderr()
            .write_all(b"SKIPPED: promtool did not check the metrics: it is missing\n")?;
        return Ok(());
    };
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = check.stdin.take().context("a pipe")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let checked = check.wait_with_output()?;

    let printed = [checked.stdout, checked.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    ensure!(checked.status.success(), "{printed}");
    ensure!(printed.is_empty(), "{printed}");
    Ok(())
}
