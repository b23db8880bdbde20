//! Both programs with a collector of their spans, and the live stream that the API serves.

use crate::api::Api;
use crate::http::{client, get};
use crate::worker::Worker;
use crate::world::{WAIT, World};
use anyhow::{Context, Result, ensure};
use async_nats::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tiris_testing::{Collector, eventually};

/// Log filter for the lines that the tests read.
const LOG: &str = "info,tiris_api=debug,sqlx::postgres::notice=trace";

/// A trace that a client began, with the span of its call.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    pub(crate) id: &'static str,
    pub(crate) span: &'static str,
}

impl Trace {
    pub(crate) fn header(self) -> String {
        format!("00-{}-{}-01", self.id, self.span)
    }
}

pub(crate) struct System {
    pub(crate) world: World,
    pub(crate) collector: Collector,
    pub(crate) api: Api,
}

impl System {
    pub(crate) async fn start() -> Result<Self> {
        let world = World::new().await?;
        let collector = Collector::start().await?;
        // From now on the server sends every statement to its client as a notice, which the client logs.
        world
            .execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_statement = ''all''', current_database()); \
                 EXECUTE format('ALTER DATABASE %I SET client_min_messages = ''log''', current_database()); END $$",
            )
            .await?;
        let email = "alice@example.com";
        world
            .execute("UPDATE users SET email = 'alice@example.com'")
            .await?;

        let settings = [
            ("TIRIS_LOG", LOG),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ];
        let api = Api::start(world.database.url(), &world.nats.url(), email, &settings).await?;
        let system = Self {
            world,
            collector,
            api,
        };
        system.is_connected().await?;
        Ok(system)
    }

    async fn is_connected(&self) -> Result<()> {
        eventually("the API with NATS", WAIT, async || {
            let health = get(&format!("{}/health", self.api.admin)).await?;
            let health: Value = serde_json::from_str(&health)?;
            let parts = &health["data"]["parts"];
            ensure!(health["data"]["ready"] == true, "{health}");
            ensure!(parts["nats"]["detail"] == "connected", "{health}");
            ensure!(parts["database"]["latency_micros"].is_u64(), "{health}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn worker(&self) -> Result<Worker> {
        let mut worker = self.world.worker_with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.url()),
            ("TIRIS_LOG", LOG),
        ])?;
        worker.ready().await?;
        Ok(worker)
    }

    /// Publishes a credit in the bot's trace. Returns the id of the event.
    pub(crate) async fn publish(&self, bot: Trace) -> Result<String> {
        let event = self.world.btc_credit("1");
        let id = event["event_id"].as_str().context("event_id")?.to_owned();
        let mut headers = HeaderMap::new();
        // Capitalized as by clients in Go.
        headers.insert("Traceparent", bot.header());
        self.world
            .jetstream()
            .publish_with_headers(self.world.subject(), headers, event.to_string().into())
            .await?
            .await?;
        Ok(id)
    }

    /// Returns a request for a new trading.
    pub(crate) fn post_trading(&self, body: &Value) -> Result<RequestBuilder> {
        Ok(client()?
            .post(format!("{}/v1/tradings", self.api.url))
            .bearer_auth(&self.api.token)
            .header("Content-Type", "application/json")
            .body(body.to_string()))
    }

    pub(crate) async fn follow(&self) -> Result<LiveStream> {
        let request = client()?
            .get(format!("{}/v1/stream", self.api.url))
            .bearer_auth(&self.api.token);
        let mut stream = LiveStream {
            response: request.send().await?.error_for_status()?,
            text: String::new(),
            messages: String::new(),
        };
        let first = stream.message().await?;
        ensure!(first.contains("retry: "), "{first}");

        // Wake-ups are missed until the server knows the subscription.
        loop {
            self.world.send_credits(1).await?;
            if stream.transaction().await?.contains(": trace ") {
                return Ok(stream);
            }
        }
    }
}

pub(crate) struct LiveStream {
    response: Response,
    /// Received text without a complete message.
    text: String,
    /// All messages so far.
    messages: String,
}

impl LiveStream {
    /// Returns the lines up to an empty one.
    async fn message(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let message: String = self.text.drain(..end + 2).collect();
                self.messages.push_str(&message);
                return Ok(message);
            }
            let chunk = tokio::time::timeout(WAIT, self.response.chunk()).await??;
            let chunk = chunk.context("the stream ended")?;
            self.text.push_str(std::str::from_utf8(&chunk)?);
        }
    }

    /// Returns the next message with a transaction.
    async fn transaction(&mut self) -> Result<String> {
        let next = async {
            loop {
                let message = self.message().await?;
                if message.contains("event: transaction\n") {
                    return Ok(message);
                }
            }
        };
        tokio::time::timeout(WAIT, next).await?
    }

    /// Reads until both the trace and a row that contains `text` have arrived, in any order.
    pub(crate) async fn of_trace(&mut self, id: &str, text: &str) -> Result<()> {
        let names = |line: &str| {
            let ids = line.strip_prefix(": trace ");
            ids.is_some_and(|ids| ids.split(' ').any(|named| named == id))
        };
        let both = async {
            while !(self.messages.lines().any(names) && self.messages.contains(text)) {
                self.message().await?;
            }
            Ok(())
        };
        tokio::time::timeout(WAIT, both).await?
    }
}
