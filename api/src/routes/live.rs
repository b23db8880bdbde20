//! The live stream over HTTP: events of the form browsers know.

use super::operations;
use super::sub_accounts::object::SubAccount;
use super::trading_logs::object::TradingLog;
use super::transactions::object::Transaction;
use crate::http::reply::Refused;
use crate::live::{EventId, Follower, Item, RESUME_MAX, Row};
use crate::routes::prelude::{Access, Caller, Class, Data, Policy, Refusal, State, Tag};
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, Stream};
use poem::http::header::CACHE_CONTROL;
use poem::web::sse::Event;
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::auth::{Bearer, BearerAuthorization};
use poem_openapi::param::Header;
use poem_openapi::payload::EventStream;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi, Union};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tiris_store::error::{Error, Result};
use tokio::time::{Instant, Interval, interval_at};

/// Milliseconds after which a client connects again.
const RETRY_MILLIS: u64 = 2_000;

/// A comment, which clients pass over.
const SIGN_OF_LIFE: &str = ":\n\n";

operations!(Follow);

/// Follow what is committed.
pub(crate) struct Follow;

impl Policy for Follow {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        (
            400,
            "`INVALID_VALUE`: Last-Event-ID is not the id of an event of the stream",
        ),
        (
            429,
            "`RATE_LIMITED`: the caller has 5 streams already, or the allowance `general` of the caller is used up; \
             `Retry-After` says when to try again",
        ),
    ];
}

/// What an event carries, as `GET` answers it.
#[derive(Serialize, Union)]
#[serde(untagged)]
enum Object {
    Transaction(Transaction),
    TradingLog(TradingLog),
    SubAccount(SubAccount),
}

impl Object {
    fn from_row(row: Row) -> Result<Self> {
        Ok(match row {
            Row::Transaction(row) => Self::Transaction(Transaction::try_from(row)?),
            Row::TradingLog(row) => Self::TradingLog(TradingLog::try_from(row)?),
            Row::SubAccount(row) => Self::SubAccount(SubAccount::try_from(row)?),
        })
    }
}

/// What is sent for an item, of the form browsers know.
fn lines(item: Item) -> Result<String> {
    let event = match item {
        // A comment, which belongs to the event behind it; clients pass over it, people find the id.
        Item::Traces(ids) => return Ok(format!(": trace {}\n", ids.join(" "))),
        // Without data a client takes the id and tells nobody.
        Item::Start(id) => Event::message("").id(id.to_string()),
        Item::Reset(id) => {
            let resumable_from = id.at - RESUME_MAX;
            Event::message(json!({ "resumable_from": resumable_from }).to_string())
                .event_type("reset")
                .id(id.to_string())
        }
        Item::Row(id, row) => {
            let object = Object::from_row(*row)?;
            let data =
                serde_json::to_string(&object).map_err(|error| Error::Internal(error.into()))?;
            Event::message(data)
                .event_type(id.kind.name())
                .id(id.to_string())
        }
    };

    Ok(event.to_string())
}

/// All that is sent, with a comment as a sign of life every `heartbeat`.
fn sent(follower: Follower, heartbeat: Duration) -> impl Stream<Item = std::io::Result<String>> {
    let next = |mut follower: Follower| async move {
        let lines = lines(follower.next().await?).inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a live stream ends"
            );
        });
        Some((Some(lines.ok()?), follower))
    };

    let beat = |mut ticks: Interval| async move {
        ticks.tick().await;
        Some((Some(SIGN_OF_LIFE.to_owned()), ticks))
    };
    let end = stream::iter([None]);
    let told = stream::iter([Some(Event::retry(RETRY_MILLIS).to_string())])
        .chain(stream::unfold(follower, next))
        .chain(end);
    let beats = stream::unfold(interval_at(Instant::now() + heartbeat, heartbeat), beat);

    stream::select(told, beats)
        .take_while(|lines| ready(lines.is_some()))
        .filter_map(|lines| ready(lines.map(Ok)))
}

/// A stream that has begun.
struct Begun {
    follower: Follower,
    heartbeat: Duration,
}

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("text/event-stream")
            // Whoever keeps or compresses it keeps it from the client.
            .header(CACHE_CONTROL, "no-store, no-transform")
            .header("X-Accel-Buffering", "no")
            .body(Body::from_bytes_stream(sent(self.follower, self.heartbeat)))
    }
}

impl ApiResponse for Begun {
    fn meta() -> MetaResponses {
        let mut meta = EventStream::<BoxStream<'static, Object>>::meta();
        for response in &mut meta.responses {
            response.description = "The stream; it has no end of its own";
        }
        meta
    }

    fn register(registry: &mut Registry) {
        <EventStream<BoxStream<'static, Object>> as ApiResponse>::register(registry);
    }
}

#[OpenApi(prefix_path = "/v1/stream", tag = "Tag::Live")]
impl Follow {
    /// What is committed of the caller's, as it is committed
    ///
    /// Server-sent events of the types `transaction`, `trading_log` and `sub_account`; `data` is the object that `GET`
    /// answers, `id` is `<microseconds>-<type>-<row id>`. A client that was cut off sends the last id as
    /// `Last-Event-ID` and misses nothing; it may get events again that it had, so it goes by `id`. After more than 24
    /// hours the first event is `reset`: read the lists from then on. A comment comes every 15 seconds. The stream ends
    /// when the token expires or its session ends, and when the service is restarted.
    #[oai(path = "/", method = "get", operation_id = "follow")]
    async fn follow(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        request: &Request,
        /// The id of the last event the client had
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> std::result::Result<Begun, Refused<Self>> {
        let last = last_event_id.0.filter(|text| !text.is_empty());
        let last: Option<EventId> = match last.map(|text| text.parse()) {
            Some(Ok(id)) => Some(id),
            Some(Err(why)) => {
                return Err(Error::invalid("Last-Event-ID", why).into());
            }
            None => None,
        };

        let token = Bearer::from_request(request)
            .map_err(|_| Error::AuthRequired)?
            .token;
        let follower = Follower::begin((*state).clone(), caller.user(), token.into(), last).await?;

        Ok(Begun {
            follower,
            heartbeat: state.streams.settings.heartbeat,
        })
    }
}
