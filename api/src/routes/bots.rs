//! Bots: the latest heartbeat of each component.

use super::prelude::*;
use tiris_domain::states::BotStatus;
use tiris_store::entity::bots::{Column, Entity, Model};

operation!(ListBots: User, General, [INVALID_FILTER]);

/// The latest heartbeat of a component of a bot.
#[derive(Object, Serialize)]
struct Bot {
    /// Id of the component's record
    id: Uuid,
    /// Id of the trading the bot works on
    trading_id: Uuid,
    /// Name of the component, chosen by the bot
    component: String,
    /// Health as reported by the bot
    status: Field<BotStatus>,
    /// Time of the heartbeat by the bot's clock, or by the broker's when the bot's clock is more than 60 s ahead
    last_seen_at: DateTime<Utc>,
    /// Free JSON with the bot's own measurements
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

/// All components of the caller's bots.
#[derive(Object, Serialize)]
struct BotList {
    /// Components, latest heartbeat first
    bots: Vec<Bot>,
}

#[OpenApi(prefix_path = "/v1/bots", tag = "Tag::Events")]
impl ListBots {
    /// List the caller's bots
    ///
    /// Returns the latest heartbeat of each component of the caller's bots, latest first. A bot that has stopped keeps
    /// its last entry: compare `last_seen_at` with the current time.
    #[oai(path = "/", method = "get", operation_id = "listBots")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only bots of this trading
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
