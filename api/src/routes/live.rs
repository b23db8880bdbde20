//! `GET /v1/stream`: the live stream as server-sent events.

use super::dead_letters::object::DeadLetter;
use super::orders::object::Order;
use super::prelude::*;
use super::sub_accounts::object::SubAccount;
use super::trading_logs::object::TradingLog;
use super::transactions::object::Transaction;
use crate::http::reply::Refused;
use crate::live::{EventId, Follower, Item, RESUME_MAX, Row};
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
use poem_openapi::{ApiResponse, Union};
use std::time::Duration;
use tokio::time::{Instant, Interval, interval_at};

/// Milliseconds after which a client reconnects.
const RETRY_MILLIS: u64 = 2_000;

/// A comment, which clients ignore.
const KEEP_ALIVE: &str = ":\n\n";

operation!(Follow: User, General, [
    (400, "`INVALID_VALUE`: `Last-Event-ID` is not the id of an event of the stream"),
    (
        429,
        "`RATE_LIMITED`: the caller has 5 open streams, or the allowance `general` of the caller \
         is used up; `Retry-After` gives the seconds to wait",
    ),
]);

/// The data of an event: the object that `GET` returns.
#[derive(Serialize, Union)]
#[serde(untagged)]
enum LiveObject {
    Transaction(Transaction),
    TradingLog(TradingLog),
    SubAccount(SubAccount),
    Order(Order),
    DeadLetter(DeadLetter),
}

impl LiveObject {
    fn from_row(row: Row) -> Result<Self> {
        Ok(match row {
            Row::Transaction(row) => Self::Transaction(Transaction::try_from(row)?),
            Row::TradingLog(row) => Self::TradingLog(TradingLog::try_from(row)?),
            Row::SubAccount(row) => Self::SubAccount(SubAccount::try_from(row)?),
            Row::Order(row) => Self::Order(Order::try_from(row)?),
            Row::DeadLetter(row) => Self::DeadLetter(DeadLetter::of_list(row, false)?),
        })
    }
}

/// Formats a row as a server-sent event.
fn lines_of(id: EventId, row: Row) -> Result<String> {
    let object = LiveObject::from_row(row)?;
    let data = serde_json::to_string(&object).map_err(|error| Error::Internal(error.into()))?;
    let event = Event::message(data)
        .event_type(id.kind.name())
        .id(id.to_string());
    Ok(event.to_string())
}

/// Formats an item as a server-sent event.
fn lines(item: Item) -> Result<String> {
    let event = match item {
        // A comment before the event, for troubleshooting; clients ignore it.
        Item::Traces(ids) => return Ok(format!(": trace {}\n", ids.join(" "))),
        // An event without data only sets the client's last id.
        Item::Start(id) => Event::message("").id(id.to_string()),
        Item::Reset(id) => {
            let resumable_from = id.at - RESUME_MAX;
            Event::message(json!({ "resumable_from": resumable_from }).to_string())
                .event_type("reset")
                .id(id.to_string())
        }
        Item::Row(lines) => return Ok(lines),
    };

    Ok(event.to_string())
}

/// Returns the body of the response, with a comment every `heartbeat` to keep the connection alive.
fn sent(follower: Follower, heartbeat: Duration) -> impl Stream<Item = std::io::Result<String>> {
    let next = |mut follower: Follower| async move {
        let lines = lines(follower.next().await?).inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "live stream failed"
            );
        });
        Some((Some(lines.ok()?), follower))
    };

    let tick = |mut ticks: Interval| async move {
        ticks.tick().await;
        Some((Some(KEEP_ALIVE.to_owned()), ticks))
    };
    let end = stream::iter([None]);
    let events = stream::iter([Some(Event::retry(RETRY_MILLIS).to_string())])
        .chain(stream::unfold(follower, next))
        .chain(end);
    let comments = stream::unfold(interval_at(Instant::now() + heartbeat, heartbeat), tick);

    stream::select(events, comments)
        .take_while(|lines| ready(lines.is_some()))
        .filter_map(|lines| ready(lines.map(Ok)))
}

/// The response of a started stream.
struct Started {
    follower: Follower,
    heartbeat: Duration,
}

impl IntoResponse for Started {
    fn into_response(self) -> Response {
        Response::builder()
            .content_type("text/event-stream")
            // A proxy that buffers or compresses the stream would delay it.
            .header(CACHE_CONTROL, "no-store, no-transform")
            .header("X-Accel-Buffering", "no")
            .body(Body::from_bytes_stream(sent(self.follower, self.heartbeat)))
    }
}

impl ApiResponse for Started {
    fn meta() -> MetaResponses {
        let mut meta = EventStream::<BoxStream<'static, LiveObject>>::meta();
        for response in &mut meta.responses {
            response.description = "The event stream, without an end";
        }
        meta
    }

    fn register(registry: &mut Registry) {
        <EventStream<BoxStream<'static, LiveObject>> as ApiResponse>::register(registry);
    }
}

#[OpenApi(prefix_path = "/v1/stream", tag = "Tag::Live")]
impl Follow {
    /// Stream the caller's changes
    ///
    /// Sends server-sent events of the types `transaction`, `trading_log`, `sub_account`, `order` and `dead_letter` as changes
    /// are committed; `data` is the object that `GET` returns, of an order without its logs, holds and transactions, and of a
    /// dead letter without a payload over 8 KiB; `id` is `<microseconds>-<type>-<row id>`. After a disconnect send the last
    /// id as `Last-Event-ID`: no event is missed, but some may come twice, so deduplicate by `id`. After more than 24
    /// hours the first event is `reset` and the stream continues from now: read what was missed from the lists. A comment
    /// comes every 15 seconds. The stream ends when the access token expires, its session ends or the service restarts. A user can
    /// have 5 streams open. Swagger UI cannot show a stream: use `curl -N`.
    #[oai(path = "/", method = "get", operation_id = "follow")]
    async fn follow(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        request: &Request,
        /// Id of the last event the client received, to resume after it
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> std::result::Result<Started, Refused<Self>> {
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
        let user = caller.user();
        let follower =
            Follower::begin((*state).clone(), user, token.into(), last, lines_of).await?;

        Ok(Started {
            follower,
            heartbeat: state.streams.settings.heartbeat,
        })
    }
}
