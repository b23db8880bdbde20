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

/// The order of the list: by time, then by id.
const ORDER: (Column, Column) = (Column::LastSeenAt, Column::Id);

/// A page of components of the caller's bots.
#[derive(Object, Serialize)]
struct BotList {
    /// Components, latest heartbeat first
    bots: Listed<Bot>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/bots", tag = "Tag::Events")]
impl ListBots {
    /// List the caller's bots
    ///
    /// Returns the latest heartbeat of each component of the caller's bots, latest first. A bot that has stopped keeps
    /// its last entry: compare `last_seen_at` with the current time. A component whose heartbeat comes between two pages
    /// moves to the first one.
    #[oai(path = "/", method = "get", operation_id = "listBots")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only bots of this trading
        trading_id: Query<Option<Uuid>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,status`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<BotList, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<Bot>(fields.0.as_deref())?;
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(equal(Column::TradingId, trading_id.0));
        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.last_seen_at, row.id),
        };

        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, &state.db, list, |row| {
                chosen.serialize(&Bot::try_from(row)?)
            })
            .await?;
        let data = BotList {
            bots: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
