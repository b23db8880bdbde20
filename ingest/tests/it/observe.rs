//! What both programs tell of what they do: one id from a bot's publish to the portal, spans, metrics.

use crate::process::Worker;
use crate::world::{WAIT, World};
use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use reqwest::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tiris_domain::event::Kind;
use tiris_runtime::metrics::catalog::{METRICS, Program};
use tiris_testing::{
    Collector, Process, Span, binary, eventually, find_promtool, free_port, scratch_dir,
};

const EXIT_LIMIT: Duration = Duration::from_secs(20);
/// A trace of a bot, and the span of its publish.
const BOT: (&str, &str) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
const OTHER_BOT: (&str, &str) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
const THIRD_BOT: (&str, &str) = ("1bf7651916cd43dd8448eb211c80319d", "c7ad6b7169203332");
const PORTAL: (&str, &str) = ("2cf7651916cd43dd8448eb211c80319e", "d7ad6b7169203333");

/// What the lines of the tests come from.
const LOG: &str = "info,tiris_api=debug,sqlx::postgres::notice=trace";

fn traceparent((trace, span): (&str, &str)) -> String {
    format!("00-{trace}-{span}-01")
}

struct System {
    world: World,
    collector: Collector,
    api: Process,
    url: String,
    admin: String,
    token: String,
    _keys: TempDir,
}

impl System {
    async fn start() -> Result<Self> {
        let (world, collector) = (World::new().await?, Collector::start().await?);
        // From now on the server tells every statement to whoever sent it, which logs what it is told.
        sqlx::raw_sql(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database()); \
             EXECUTE format('ALTER DATABASE %I SET client_min_messages = ''log''', current_database()); END $$",
        )
        .execute(world.pool())
        .await?;
        let keys = scratch_dir("keys")?;
        let (port, admin_port) = (free_port()?, free_port()?);
        let key = keys.path().join("jwt.pem");
        let api = Process::command(binary("tiris-api")?)
            .arg("serve")
            .env("DATABASE_URL", world.database.url())
            .env("NATS_URL", world.nats.url())
            .env("TIRIS_ENCRYPTION_FILE", keys.path().join("encryption.env"))
            .env("TIRIS_JWT_KEY_FILE", &key)
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env("TIRIS_LOG", LOG)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .spawn()?;
        sqlx::query("UPDATE users SET email = 'alice@example.com'")
            .execute(world.pool())
            .await?;
        let printed = tokio::process::Command::new(binary("tiris-api")?)
            .args(["token", "--email", "alice@example.com"])
            .env("DATABASE_URL", world.database.url())
            .env("TIRIS_JWT_KEY_FILE", &key)
            .output()
            .await?;
        ensure!(
            printed.status.success(),
            "{}",
            String::from_utf8_lossy(&printed.stderr)
        );
        let token = String::from_utf8(printed.stdout)?.trim().to_owned();
        let (url, admin) = (
            format!("http://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{admin_port}"),
        );
        let system = Self {
            world,
            collector,
            api,
            url,
            admin,
            token,
            _keys: keys,
        };
        eventually("the API with NATS", WAIT, async || {
            let health: Value = serde_json::from_str(&system.get(&system.admin, "/health").await?)?;
            let parts = &health["data"]["parts"];
            ensure!(
                health["data"]["ready"] == true && parts["nats"]["detail"] == "connected",
                "{health}"
            );
            ensure!(parts["database"]["latency_micros"].is_u64(), "{health}");
            Ok(())
        })
        .await?;
        Ok(system)
    }

    fn worker(&self) -> Result<Worker> {
        let url = self.world.database.url();
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url()),
            ("TIRIS_LOG", LOG),
        ];
        Worker::start_with(url, &self.world.nats.url(), &settings)
    }

    async fn get(&self, base: &str, path: &str) -> Result<String> {
        Ok(client()?
            .get(format!("{base}{path}"))
            .send()
            .await?
            .text()
            .await?)
    }

    /// Publishes a credit as a part of the bot's trace; answers the id of the event.
    async fn publish(&self, bot: (&str, &str)) -> Result<String> {
        let event = self.world.credit(self.world.currency, "BTC", "1");
        let id = event["event_id"].as_str().context("event_id")?.to_owned();
        let mut headers = HeaderMap::new();
        // As clients in Go write it.
        headers.insert("Traceparent", traceparent(bot));
        let subject = Kind::BalanceUpdated.subject_of(self.world.user);
        self.world
            .jetstream()
            .publish_with_headers(subject, headers, event.to_string().into())
            .await?
            .await?;
        Ok(id)
    }

    async fn follow(&self) -> Result<Stream> {
        let asked = client()?
            .get(format!("{}/v1/stream", self.url))
            .bearer_auth(&self.token);
        let mut stream = Stream {
            response: asked.send().await?.error_for_status()?,
            text: String::new(),
            told: String::new(),
        };
        ensure!(
            stream.message().await?.contains("retry: "),
            "a stream begins"
        );
        // Until the server knows of the subscription, messages that wake are missed.
        loop {
            self.world.send_credits(1).await?;
            if stream.row("transaction").await?.contains(": trace ") {
                return Ok(stream);
            }
        }
    }
}

fn client() -> Result<reqwest::Client> {
    tiris_runtime::tls::choose_provider();
    Ok(reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(WAIT)
        .build()?)
}

struct Stream {
    response: Response,
    text: String,
    /// All messages so far.
    told: String,
}

impl Stream {
    /// All lines up to an empty one.
    async fn message(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                self.told.push_str(&message);
                return Ok(message);
            }
            let chunk = tokio::time::timeout(WAIT, self.response.chunk()).await??;
            self.text
                .push_str(std::str::from_utf8(&chunk.context("the stream ended")?)?);
        }
    }

    /// The next message with a row of this type.
    async fn row(&mut self, kind: &str) -> Result<String> {
        let next = async {
            loop {
                let message = self.message().await?;
                if message.contains(&format!("event: {kind}\n")) {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(WAIT, next).await?
    }

    /// Reads until the trace was named and a row that holds `what` was told, which may come before it.
    async fn of_trace(&mut self, id: &str, what: &str) -> Result<()> {
        let names = |line: &str| {
            line.strip_prefix(": trace ")
                .is_some_and(|ids| ids.split(' ').any(|named| named == id))
        };
        let both = async {
            while !(self.told.lines().any(names) && self.told.contains(what)) {
                self.message().await?;
            }
            Ok(())
        };
        tokio::time::timeout(WAIT, both).await?
    }
}

/// The lines of a log that hold `text`.
fn lines(process: &Process, text: &str) -> Result<Vec<Value>> {
    let log = std::fs::read_to_string(process.log_path())?;
    log.lines()
        .filter(|line| line.contains(text))
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

/// A line that repeats what the server told of a statement.
fn is_notice(line: &Value) -> bool {
    line["metadata"]["target"] == "sqlx::postgres::notice"
}

fn begins_with(notices: &[Value], statement: &str) -> bool {
    notices
        .iter()
        .filter(|line| is_notice(line))
        .any(|line| line.to_string().contains(statement))
}

fn only<'a>(spans: &'a [Span], what: &str, wanted: impl Fn(&Span) -> bool) -> Result<&'a Span> {
    let found: Vec<&Span> = spans.iter().filter(|span| wanted(span)).collect();
    ensure!(found.len() == 1, "{what}: {} of {spans:#?}", found.len());
    Ok(found[0])
}

#[tokio::test]
async fn one_trace_id_leads_from_a_publish_to_its_commit_and_to_the_live_stream() -> Result<()> {
    let mut system = System::start().await?;
    system.publish(OTHER_BOT).await?;
    system.publish(THIRD_BOT).await?;
    let mut worker = system.worker()?;
    worker.ready().await?;
    let mut stream = system.follow().await?;

    let event = system.publish(BOT).await?;
    stream.of_trace(BOT.0, &event).await?;

    let body = json!({"name": "by hand", "type": "paper", "sub_accounts": [
        {"name": "currency", "symbol": "BTC", "initial_deposit": "10"}]});
    let made = client()?
        .post(format!("{}/v1/tradings", system.url))
        .bearer_auth(&system.token)
        .header("X-Request-ID", "portal-7")
        .header("traceparent", traceparent(PORTAL))
        .header("Content-Type", "application/json")
        .body(body.to_string());
    let made: Value = serde_json::from_str(&made.send().await?.error_for_status()?.text().await?)?;
    let trading = made["data"]["id"].as_str().context("a trading")?;
    stream.of_trace("portal-7", trading).await?;

    drop(stream);
    worker.stops().await?;
    ensure!(
        system.api.terminate(EXIT_LIMIT).await?.success(),
        "the API stops"
    );

    let committed = lines(&worker.process, BOT.0)?;
    let (begun, committed): (Vec<_>, Vec<_>) = committed.into_iter().partition(is_notice);
    ensure!(
        begins_with(&begun, &format!("BEGIN /*trace_id='{}'*/", BOT.0)),
        "{begun:#?}"
    );
    ensure!(
        committed.len() == 1,
        "one line of the batch: {committed:#?}"
    );
    ensure!(
        committed[0]["trace_id"] == BOT.0 && committed[0]["message"] == "committed",
        "{committed:#?}"
    );
    ensure!(
        committed[0]["user_id"] == system.world.user.to_string(),
        "{committed:#?}"
    );
    let mixed = lines(&worker.process, OTHER_BOT.0)?;
    ensure!(mixed.len() == 1, "{mixed:#?}");
    let ids = mixed[0]["metadata"]["traces"].as_str().context("traces")?;
    ensure!(
        ids == format!("{} {}", OTHER_BOT.0, THIRD_BOT.0),
        "both bots of the batch: {mixed:#?}"
    );
    let begun = lines(&system.api, "portal-7")?;
    let comment = format!(
        "BEGIN /*trace_id='portal-7',user_id='{}'*/",
        system.world.user
    );
    ensure!(begins_with(&begun, &comment), "{begun:#?}");
    let looked = lines(&system.api, BOT.0)?;
    ensure!(
        looked
            .iter()
            .any(|line| line["message"] == "a live stream looked"),
        "{looked:#?}"
    );
    let answered = lines(&system.api, "portal-7")?;
    let answers = answered.iter().filter(|line| line["message"] == "answered");
    ensure!(
        answers.count() == 1,
        "one line of the request: {answered:#?}"
    );
    for process in [&worker.process, &system.api] {
        let log = std::fs::read_to_string(process.log_path())?;
        ensure!(
            !log.contains(&system.token) && !log.contains("alice@"),
            "nobody is told who it is"
        );
    }
    spans_of_bots(&system.collector.spans())?;
    spans_of_the_portal(&system.collector.spans())
}

/// publish -> batch -> commit -> statement, and over NATS to the live stream.
fn spans_of_bots(spans: &[Span]) -> Result<()> {
    let batch = only(spans, "batch", |span| {
        span.name == "batch" && span.trace == BOT.0
    })?;
    ensure!(
        (batch.service.as_str(), batch.parent.as_str()) == ("tiris-ingest", BOT.1),
        "{batch:?}"
    );
    let commit = only(spans, "commit", |span| {
        span.name == "commit" && span.parent == batch.id
    })?;
    let insert = |span: &Span| span.name == "insert transactions" && span.parent == commit.id;
    ensure!(
        only(spans, "statement", insert)?.trace == BOT.0,
        "of the same trace"
    );
    let live = only(spans, "live", |span| {
        span.name == "live" && span.trace == BOT.0
    })?;
    ensure!(
        (live.service.as_str(), &live.parent) == ("tiris-api", &batch.id),
        "{live:?}"
    );
    let mixed = only(spans, "the batch of two", |span| {
        span.links.len() == 2 && span.name == "batch"
    })?;
    let linked: BTreeSet<&str> = mixed.links.iter().map(String::as_str).collect();
    ensure!(
        linked == BTreeSet::from([OTHER_BOT.0, THIRD_BOT.0]) && mixed.parent.is_empty(),
        "{mixed:?}"
    );
    Ok(())
}

/// request -> statement, under the trace the portal began.
fn spans_of_the_portal(spans: &[Span]) -> Result<()> {
    let request = only(spans, "request", |span| span.name == "POST /v1/tradings")?;
    ensure!(
        (request.trace.as_str(), request.parent.as_str()) == PORTAL,
        "{request:?}"
    );
    let insert = |span: &Span| span.name == "insert tradings" && span.parent == request.id;
    ensure!(
        only(spans, "statement", insert)?.trace == PORTAL.0,
        "of the same trace"
    );
    let live = only(spans, "live", |span| {
        span.name == "live" && span.trace == PORTAL.0
    })?;
    ensure!(live.parent == request.id, "{live:?}");
    Ok(())
}

#[tokio::test]
async fn the_metrics_of_both_programs_are_those_of_the_list_and_as_prometheus_wants_them()
-> Result<()> {
    let system = System::start().await?;
    let mut worker = system.worker()?;
    worker.ready().await?;
    let _stream = system.follow().await?;
    system
        .world
        .publish(
            &Kind::Signal.subject_of(system.world.user),
            &json!({"broken": true}),
        )
        .await?;
    let refused = client()?
        .post(format!("{}/v1/tradings", system.url))
        .bearer_auth(&system.token)
        .body("{}");
    ensure!(
        refused.send().await?.status().is_client_error(),
        "no trading"
    );
    for line in [
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
        "ingest_lanes_lost_total{stream=\"TRADING\"} 0",
        "database_acquire_timeouts_total 0",
        "dependency_up{dependency=\"lanes\",needed=\"true\"} 1",
        "nats_connected 1",
        "log_lines_total{level=\"warn\"} ",
    ] {
        worker.counts(line).await?;
    }
    let ingest = worker.metrics_now().await?;
    check(&ingest, Program::Ingest)?;
    let api = system.get(&system.admin, "/metrics").await?;
    for line in [
        "http_errors_total{code=\"",
        "http_requests_total{method=\"GET\",path=\"/v1/stream\",status=\"200\"} 1",
        "http_requests_in_flight 0",
        "http_connections ",
        "api_live_streams 1",
        "dependency_up{dependency=\"database\",needed=\"true\"} 1",
        "build_info{service=\"tiris-api\",version=\"",
    ] {
        ensure!(
            api.lines().any(|found| found.starts_with(line)),
            "{line} is missing in: {api}"
        );
    }
    check(&api, Program::Api)
}

/// Holds what a process tells to the list, and to promtool where there is one.
fn check(text: &str, program: Program) -> Result<()> {
    let mut kinds = std::collections::BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').context("a kind")?;
        kinds.insert(name, kind);
    }
    for (name, kind) in &kinds {
        let metric = METRICS.iter().find(|metric| metric.name == *name);
        let metric = metric.with_context(|| format!("{name} is not in the list"))?;
        ensure!(metric.kind.name() == *kind, "{name} is a {kind}");
        ensure!(
            metric.program == program || metric.program == Program::Both,
            "{name} in {program:?}"
        );
        let sample = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            let rest = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| rest.strip_prefix(end))
                .unwrap_or(rest);
            rest.starts_with(['{', ' '])
        };
        for line in text.lines().filter(sample) {
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.rsplit_once('}'));
            let names: BTreeSet<&str> = labels
                .map(|(labels, _)| {
                    labels
                        .split("\",")
                        .filter_map(|label| label.split('=').next())
                        .collect()
                })
                .unwrap_or_default();
            let names: BTreeSet<&str> = names.into_iter().filter(|name| *name != "le").collect();
            ensure!(
                names == metric.labels.iter().copied().collect(),
                "labels of {line}"
            );
        }
    }
    let Some(promtool) = find_promtool() else {
        ensure!(
            std::env::var("TIRIS_PROMTOOL").as_deref() != Ok("required"),
            "promtool is missing"
        );
        // Past the test runner, which shows what a test prints only when it fails.
        std::io::stderr()
            .write_all(b"SKIPPED: promtool did not check the metrics: it is missing\n")?;
        return Ok(());
    };
    let mut check = std::process::Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    check
        .stdin
        .take()
        .context("a pipe")?
        .write_all(text.as_bytes())?;
    let checked = check.wait_with_output()?;
    let told = [checked.stdout, checked.stderr].concat();
    ensure!(
        checked.status.success() && told.is_empty(),
        "{}",
        String::from_utf8_lossy(&told)
    );
    Ok(())
}
