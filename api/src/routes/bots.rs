//! Bots: the latest heartbeat of each component.

use super::operations;
use crate::http::filter::equal;
use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use tiris_domain::states::BotStatus;
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::bots::{Column, Entity, Model};

operations!(ListBots);

/// List the bots of the caller.
pub(crate) struct ListBots;

impl Policy for ListBots {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

/// One component of a bot, as its latest heartbeat told.
#[derive(Object, Serialize)]
struct Bot {
    id: Uuid,
    trading_id: Uuid,
    /// Which part of the bot
    component: String,
    status: Field<BotStatus>,
    /// When, by the bot's own clock
    last_seen_at: DateTime<Utc>,
    /// Whatever it measures
    metrics: Field<Info>,
}

impl TryFrom<Model> for Bot {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            trading_id: row.trading_id,
            status: Field(column::state(&row.status)?),
            component: row.component,
            last_seen_at: row.last_seen_at,
            metrics: Field(Info::from_column(row.metrics)),
        })
    }
}

/// All components, the one heard of last first.
#[derive(Object, Serialize)]
struct BotList {
    bots: Vec<Bot>,
}

#[OpenApi(prefix_path = "/v1/bots", tag = "Tag::Events")]
impl ListBots {
    /// The caller's bots, each as its latest heartbeat told
    #[oai(path = "/", method = "get", operation_id = "listBots")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only those of this trading
        trading_id: Query<Option<Uuid>>,
    ) -> Answer<BotList, Self> {
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(equal(Column::TradingId, trading_id.0))
            .order_by_desc(Column::LastSeenAt)
            .order_by_desc(Column::Id)
            .all(&state.db)
            .await
            .map_err(Error::from)?;

        let bots = rows.into_iter().map(Bot::try_from);
        Ok(Reply::read(BotList {
            bots: bots.collect::<Result<_>>()?,
        }))
    }
}
