//! What orders hold of a balance, and the release of what a dead bot left behind.

use super::update::lock;
use crate::entities::Entities;
use crate::ledger::{self, Work};
use crate::value::MoneyText;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::{Map, json};
use sqlx::PgConnection;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Command, OrderId};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::entity::holds;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Entry, Source};
use uuid::Uuid;

/// A part of a balance that is locked for an order.
#[derive(Object, Serialize)]
pub(super) struct Hold {
    /// The order; empty when none was named
    order_id: String,
    /// What is locked, in units of the asset
    amount: MoneyText,
    created_at: DateTime<Utc>,
    /// The event that made it
    #[oai(nullable)]
    event_id: Option<String>,
}

/// All holds of a sub-account, newest first.
#[derive(Object, Serialize)]
pub(super) struct HoldList {
    holds: Vec<Hold>,
}

impl HoldList {
    pub(super) async fn load(db: &Entities, account: Uuid) -> Result<Self> {
        let rows = holds::Entity::find()
            .filter(holds::Column::SubAccountId.eq(account))
            .order_by_desc(holds::Column::CreatedAt)
            .order_by_asc(holds::Column::OrderId)
            .all(db)
            .await?;
        let hold = |row: holds::Model| -> Result<Hold> {
            let amount = MoneyText::from_column(row.amount)?;
            Ok(Hold {
                order_id: row.order_id,
                amount,
                created_at: row.created_at,
                event_id: row.event_id,
            })
        };
        Ok(Self {
            holds: rows.into_iter().map(hold).collect::<Result<_>>()?,
        })
    }
}

/// The order a parameter names; empty is the hold of locks that named none.
pub(super) fn order(text: &str) -> Result<Option<OrderId>> {
    if text.is_empty() {
        return Ok(None);
    }
    // No text column can hold it.
    if text.contains('\0') {
        return Err(Error::invalid("order_id", "must not contain U+0000"));
    }
    text.parse()
        .map(Some)
        .map_err(|why: String| Error::invalid("order_id", why))
}

/// The transaction that releases a hold, by the same command as a bot's event.
pub(super) struct ReleaseWork<'a> {
    pub(super) user: UserId,
    pub(super) actor: &'a Actor,
    pub(super) id: AccountId,
    pub(super) order: Option<OrderId>,
}

impl Work for ReleaseWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        let account = lock(connection, self.user, self.id).await?;
        let amount = self.held(connection).await?;
        let entry = Entry {
            user: self.user,
            trading: TradingId(account.trading_id),
            sub_account: Some(self.id),
            command: Command::Unlock {
                account: self.id,
                asset: account
                    .symbol
                    .parse()
                    .map_err(|why: String| Error::internal(why))?,
                amount: amount.0.into(),
                order: self.order.clone(),
            },
            claim: None,
            log_type: "balance_unlocked".to_owned(),
            source: Source::Manual,
            order: self.order.clone(),
            event_time: None,
            message: format!(
                "hold of {} {} released by its owner",
                amount.0, account.symbol
            ),
            info: Map::new(),
        };
        let (timestamp, _) = ledger::book(connection, &[entry]).await?;
        let action = Action {
            name: "hold.release",
            resource: "sub_account",
            id: Some(self.id.to_string()),
            before: Some(json!({"order_id": self.order_text(), "amount": amount})),
            after: None,
        };
        audit::record(connection, self.actor, &action).await?;
        ledger::finish(connection, timestamp).await
    }
}

impl ReleaseWork<'_> {
    fn order_text(&self) -> &str {
        self.order.as_ref().map_or("", OrderId::as_str)
    }

    /// All that is held, which nobody changes while the account is locked.
    async fn held(&self, connection: &mut PgConnection) -> Result<MoneyText> {
        let held: Option<Decimal> = sqlx::query_scalar(
            "SELECT amount FROM holds WHERE sub_account_id = $1 AND order_id = $2",
        )
        .bind(self.id.0)
        .bind(self.order_text())
        .fetch_optional(connection)
        .await?;
        MoneyText::from_column(held.ok_or(Error::NotFound("hold"))?)
    }
}
