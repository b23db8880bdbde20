//! The live stream over HTTP: events of the form browsers know.

use super::Tag;
use super::refusals::Follow;
use super::sub_accounts::SubAccount;
use super::trading_logs::TradingLog;
use super::transactions::Transaction;
use crate::auth::Caller;
use crate::envelope::Refused;
use crate::error::Problem;
use crate::state::State;
use crate::stream::{EventId, Follower, Item, RESUME_MAX, Row};
use futures_util::stream::{self, BoxStream};
use poem::http::HeaderValue;
use poem::http::header::CACHE_CONTROL;
use poem::web::Data;
use poem::web::sse::{Event, SSE};
use poem::{IntoResponse, Request, Response};
use poem_openapi::auth::{Bearer, BearerAuthorization};
use poem_openapi::param::Header;
use poem_openapi::payload::EventStream;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi, Union};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tiris_shared::error::{Error, Result};

/// Milliseconds after which a client connects again.
const RETRY_MILLIS: u64 = 2_000;

/// Operations on what happens now.
pub(crate) struct Live;

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
            Row::Transaction(row) => Self::Transaction(Transaction::from_row(row)?),
            Row::TradingLog(row) => Self::TradingLog(TradingLog::from_row(row)?),
            Row::SubAccount(row) => Self::SubAccount(SubAccount::from_row(row)?),
        })
    }
}

fn event(item: Item) -> Result<Event> {
    Ok(match item {
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
            let data = serde_json::to_string(&object).map_err(|error| Error::Internal(error.into()))?;
            Event::message(data).event_type(id.kind.name()).id(id.to_string())
        }
    })
}

fn events(follower: Follower) -> BoxStream<'static, Event> {
    let next = |mut follower: Follower| async move {
        let event = event(follower.next().await?).inspect_err(|error| {
            tracing::error!(error = error as &dyn std::error::Error, "a live stream ends");
        });
        Some((event.ok()?, follower))
    };
    let retry = stream::iter([Event::retry(RETRY_MILLIS)]);
    Box::pin(futures_util::StreamExt::chain(retry, stream::unfold(follower, next)))
}

/// A stream that has begun.
struct Begun {
    follower: Follower,
    heartbeat: Duration,
}

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        let mut response = SSE::new(events(self.follower)).keep_alive(self.heartbeat).into_response();
        // Whoever keeps or compresses it keeps it from the client.
        let fresh = HeaderValue::from_static("no-store, no-transform");
        response.headers_mut().insert(CACHE_CONTROL, fresh);
        response
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
impl Live {
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
        caller: Caller,
        state: Data<&State>,
        request: &Request,
        /// The id of the last event the client had
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
    ) -> std::result::Result<Begun, Refused<Follow>> {
        let last = last_event_id.0.filter(|text| !text.is_empty());
        let last: Option<EventId> = match last.map(|text| text.parse()) {
            Some(Ok(id)) => Some(id),
            Some(Err(why)) => return Err(Problem::InvalidParameter(format!("Last-Event-ID {why}")).into()),
            None => None,
        };
        let token = Bearer::from_request(request).map_err(|_| Error::AuthRequired)?.token;
        let follower = Follower::begin((*state).clone(), caller.user(), token.into(), last).await?;
        Ok(Begun { follower, heartbeat: state.streams.settings.heartbeat })
    }
}
