//! Bots: the latest heartbeat of each component.

use super::refusals::Filtered;
use super::{Tag, stored};
use crate::auth::Caller;
use crate::envelope::{Answer, Reply};
use crate::filter::equal;
use crate::state::State;
use crate::value::Info;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::{Enum, Object, OpenApi};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use tiris_store::entity::bots::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Operations on bots.
pub(crate) struct Bots;

/// How a component of a bot feels.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum BotStatus {
    Healthy,
    Degraded,
    Unhealthy,
}

/// One component of a bot, as its latest heartbeat told.
#[derive(Object, Serialize)]
struct Bot {
    id: Uuid,
    trading_id: Uuid,
    /// Which part of the bot
    component: String,
    status: BotStatus,
    /// When, by the bot's own clock
    last_seen_at: DateTime<Utc>,
    /// Whatever it measures
    metrics: Info,
}

impl Bot {
    fn from_row(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            trading_id: row.trading_id,
            status: stored(&row.status)?,
            component: row.component,
            last_seen_at: row.last_seen_at,
            metrics: Info::from_column(row.metrics),
        })
    }
}

/// All components, the one heard of last first.
#[derive(Object, Serialize)]
struct BotList {
    bots: Vec<Bot>,
}

#[OpenApi(prefix_path = "/v1/bots", tag = "Tag::Events")]
impl Bots {
    /// The caller's bots, each as its latest heartbeat told
    #[oai(path = "/", method = "get", operation_id = "listBots")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
    ) -> Answer<BotList, Filtered> {
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(equal(Column::TradingId, trading_id.0))
            .order_by_desc(Column::LastSeenAt)
            .order_by_desc(Column::Id)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let bots = rows.into_iter().map(Bot::from_row).collect::<Result<_>>()?;
        Ok(Reply::new(BotList { bots }))
    }
}
