//! Messages as bots write them.
//!
//! Owns: the JSON of each kind of event. Must not know: what a run of them looks like.

use super::people::{Account, Trading};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The moment the first event of a run happened, by its bot.
const FIRST_MOMENT: i64 = 1_767_225_600;

/// A message to publish.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
}

/// What every event says of its origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    /// Unique for its user.
    pub(crate) number: u32,
}

impl Origin {
    pub(crate) fn event_id(self) -> String {
        format!(
            "{}-{:08}",
            &self.user.simple().to_string()[..8],
            self.number
        )
    }

    /// An event as its fields; `kind` is the subject without the user.
    pub(crate) fn fields(self, kind: &str, own: Value) -> Map<String, Value> {
        let seconds = FIRST_MOMENT + i64::from(self.number);
        let moment = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        let common = json!({
            "event_id": self.event_id(), "event_type": kind, "timestamp": moment.to_rfc3339(),
            "user_id": self.user, "trading_id": self.trading, "source": "chaos-bot", "version": "1.0",
        });
        let mut fields = Map::new();
        for part in [common, own] {
            if let Value::Object(part) = part {
                fields.extend(part);
            }
        }
        fields
    }

    pub(crate) fn message(self, kind: &str, own: Value) -> Message {
        Message {
            subject: format!("{kind}.{}", self.user),
            payload: Value::Object(self.fields(kind, own)).to_string().into(),
        }
    }
}

pub(crate) fn moved(
    account: &Account,
    amount: &Value,
    direction: &str,
    order: Option<&str>,
) -> Value {
    let fields = json!({
        "sub_account_id": account.id, "symbol": account.symbol, "amount": amount, "direction": direction,
        "reason": "chaos",
    });
    for_order(fields, order)
}

pub(crate) fn held(account: &Account, amount: &Value, order: Option<&str>) -> Value {
    let fields = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": amount});
    for_order(fields, order)
}

fn for_order(mut fields: Value, order: Option<&str>) -> Value {
    if let Some(order) = order {
        fields["related_order_id"] = order.into();
    }
    fields
}

/// What a bot says of an order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) side: &'static str,
    pub(crate) volume: Value,
    pub(crate) price: Value,
}

pub(crate) fn order(trading: &Trading, order: &Order) -> Value {
    let [stock, currency, _] = &trading.accounts;
    let account = if order.side == "buy" { currency } else { stock };
    json!({
        "sub_account_id": account.id, "order_id": order.name, "symbol": format!("{}/{}", stock.symbol, currency.symbol),
        "side": order.side, "type": "limit", "amount": order.volume, "price": order.price, "status": "done",
    })
}

pub(crate) fn filled(
    trading: &Trading,
    filled: &Order,
    fee: &Value,
    pays_elsewhere: bool,
) -> Value {
    let [stock, currency, purse] = &trading.accounts;
    let mut fields = order(trading, filled);
    fields["fill"] = json!({
        "stock_account_id": stock.id, "currency_account_id": currency.id, "volume": filled.volume, "price": filled.price,
        "fee": fee,
    });
    if pays_elsewhere {
        fields["fill"]["fee_account_id"] = json!(purse.id);
    }
    fields
}

pub(crate) fn error(component: u32) -> Value {
    json!({"error_code": "E1", "error_message": "no", "severity": "low", "component": format!("part-{component}")})
}

pub(crate) fn signal(confidence: &str) -> Value {
    json!({"signal_type": "hold", "symbol": "ETH/BTC", "confidence": confidence, "strategy": "chaos"})
}

pub(crate) fn heartbeat(component: u32) -> Value {
    json!({"status": "healthy", "component": format!("part-{component}"), "metrics": {"x": component}})
}
