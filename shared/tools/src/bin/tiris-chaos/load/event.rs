//! The messages of bots: the JSON of each kind of event.

use super::users::{Account, Trading};
use serde_json::{Value, json};
use uuid::Uuid;

/// The timestamp of event 0: 2026-01-01T00:00:00Z.
const FIRST_TIMESTAMP: i64 = 1_767_225_600;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
}

impl Message {
    /// Returns whether the subject ends with a user.
    pub(crate) fn names_user(&self) -> bool {
        let last = self.subject.rsplit('.').next();
        last.is_some_and(|last| Uuid::try_parse(last).is_ok())
    }
}

/// The common fields of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    /// Unique for the user.
    pub(crate) number: u32,
}

impl Origin {
    pub(crate) fn event_id(self) -> String {
        let user = self.user.simple().to_string();
        format!("{}-{:08}", &user[..8], self.number)
    }

    /// Returns an event as its fields; `kind` is the subject without the user.
    pub(crate) fn fields(self, kind: &str, own: Value) -> Value {
        let seconds = FIRST_TIMESTAMP + i64::from(self.number);
        let timestamp = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let mut event = json!({
            "event_id": self.event_id(), "event_type": kind, "timestamp": timestamp.to_rfc3339(),
            "user_id": self.user, "trading_id": self.trading, "source": "chaos-bot", "version": "1.0",
        });
        if let Some(fields) = event.as_object_mut()
            && let Value::Object(own) = own
        {
            fields.extend(own);
        }
        event
    }

    pub(crate) fn message(self, kind: &str, own: Value) -> Message {
        Message {
            subject: format!("{kind}.{}", self.user),
            payload: self.fields(kind, own).to_string().into(),
        }
    }
}

/// Returns the fields of a change of a hold, for an order if it has one.
pub(crate) fn held(account: &Account, amount: &Value, order: Option<&str>) -> Value {
    let mut fields =
        json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": amount});
    if let Some(order) = order {
        fields["related_order_id"] = order.into();
    }
    fields
}

/// Returns the pair that a trading exchanges.
pub(crate) fn pair(trading: &Trading) -> String {
    let [stock, currency] = [0, 1].map(|at| &trading.accounts[at].symbol);
    format!("{stock}/{currency}")
}

/// An order of a bot.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) side: &'static str,
    pub(crate) volume: Value,
    pub(crate) price: Value,
}

impl Order {
    /// Returns the account that pays for the order.
    pub(crate) fn payer<'a>(&self, trading: &'a Trading) -> &'a Account {
        let is_buy = self.side == "buy";
        &trading.accounts[usize::from(is_buy)]
    }

    pub(crate) fn fields(&self, trading: &Trading) -> Value {
        json!({
            "sub_account_id": self.payer(trading).id, "order_id": self.name, "symbol": pair(trading), "side": self.side,
            "type": "limit", "amount": self.volume, "price": self.price, "status": "done",
        })
    }

    /// Returns the fields of a fill of `volume`, whose fee is paid from the third account if `pays_elsewhere`.
    pub(crate) fn filled(
        &self,
        trading: &Trading,
        volume: &Value,
        fee: &Value,
        pays_elsewhere: bool,
    ) -> Value {
        let mut fields = self.fields(trading);
        fields["fill"] = json!({
            "stock_account_id": trading.accounts[0].id, "currency_account_id": trading.accounts[1].id,
            "volume": volume, "price": self.price, "fee": fee,
        });
        if pays_elsewhere {
            fields["fill"]["fee_account_id"] = json!(trading.accounts[2].id);
        }
        fields
    }
}
