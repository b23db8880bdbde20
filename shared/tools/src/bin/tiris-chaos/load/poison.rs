//! Malformed messages: each must become one dead letter and delay nothing.

use super::event::{Message, Origin};
use super::users::Account;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};
use uuid::Uuid;

const KIND: &str = "trading.balance.updated";
const REQUIRED: [&str; 6] = [
    "timestamp",
    "trading_id",
    "amount",
    "direction",
    "version",
    "sub_account_id",
];
const NOT_NUMBERS: [&str; 6] = ["1,5", "0x10", "NaN", "", "1e999999999", "ten"];
/// Above the 64 KiB of an event.
const TOO_LONG_BYTES: usize = 65 * 1024;

/// Draws a malformed message, unique in the run, and the name of its defect.
pub(super) fn draw(account: &Account, origin: Origin, rng: &mut StdRng) -> (&'static str, Message) {
    let own = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": "1", "direction": "credit",
                     "reason": "poison"});
    let mut event = origin.fields(KIND, own);
    let mut set = |field: &str, value: Value| event[field] = value;
    let name = match rng.random_range(0..10) {
        0 => "not JSON",
        1 => "cut off",
        2 => "no text",
        3 => {
            let field = REQUIRED.choose(rng).copied().unwrap_or_default();
            if let Some(fields) = event.as_object_mut() {
                fields.shift_remove(field);
            }
            "missing field"
        }
        4 => {
            set("user_id", json!(Uuid::from_u128(rng.random())));
            "other user"
        }
        5 => {
            set("note", "x".repeat(TOO_LONG_BYTES).into());
            "too long"
        }
        6 => {
            set("amount", json!(NOT_NUMBERS.choose(rng)));
            "no number"
        }
        7 => {
            set("version", "2.0".into());
            "other version"
        }
        8 => "no user in the subject",
        _ => {
            set("direction", json!(["credit"]));
            "wrong type"
        }
    };

    let mut payload = event.to_string().into_bytes();
    match name {
        "not JSON" => payload = format!("{{not json {}", origin.event_id()).into(),
        "cut off" => payload.truncate(payload.len() - rng.random_range(1..40)),
        "no text" => payload = [origin.event_id().as_bytes(), b"\xff\xfe\x00"].concat(),
        _ => {}
    }
    let subject = match name {
        "no user in the subject" => KIND.to_owned(),
        _ => format!("{KIND}.{}", origin.user),
    };
    (name, Message { subject, payload })
}
