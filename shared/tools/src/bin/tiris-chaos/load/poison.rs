//! Messages nobody can read: each must become one dead letter and hold up nobody.
//!
//! Owns: the ways to be wrong. Must not know: what is right beyond the one event it breaks.

use super::event::{Message, Origin};
use super::people::Account;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
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
const NO_NUMBERS: [&str; 6] = ["1,5", "0x10", "NaN", "", "1e999999999", "ten"];
/// One byte more than an event may have, and half a message more than that.
const TOO_LONG_BYTES: usize = 65 * 1024;

/// Draws one, unlike any other of the run; its name says what is wrong with it.
pub(super) fn draw(account: &Account, origin: Origin, rng: &mut StdRng) -> (&'static str, Message) {
    let own = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": "1", "direction": "credit",
                     "reason": "poison"});
    let fields = origin.fields(KIND, own);
    let mut subject = format!("{KIND}.{}", origin.user);
    let (name, payload) = match rng.random_range(0..10) {
        0 => {
            let text = format!("{{not json {}", origin.event_id());
            ("not JSON", text.into_bytes())
        }
        1 => {
            let mut payload = Value::Object(fields).to_string().into_bytes();
            payload.truncate(payload.len() - rng.random_range(1..40));
            ("cut off", payload)
        }
        2 => {
            let payload = [origin.event_id().as_bytes(), b"\xff\xfe\x00"].concat();
            ("no text", payload)
        }
        8 => {
            subject = KIND.to_owned();
            let payload = Value::Object(fields).to_string().into_bytes();
            ("no user in the subject", payload)
        }
        drawn => spoil(fields, drawn, rng),
    };

    (name, Message { subject, payload })
}

/// An event one of whose fields is wrong.
fn spoil(mut fields: Map<String, Value>, drawn: u32, rng: &mut StdRng) -> (&'static str, Vec<u8>) {
    let mut set = |field: &str, value: Value| fields.insert(field.to_owned(), value);
    let name = match drawn {
        3 => {
            fields.shift_remove(REQUIRED[rng.random_range(0..REQUIRED.len())]);
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
            let wrong = NO_NUMBERS[rng.random_range(0..NO_NUMBERS.len())];
            set("amount", wrong.into());
            "no number"
        }
        7 => {
            set("version", "2.0".into());
            "other version"
        }
        _ => {
            set("direction", json!(["credit"]));
            "wrong type"
        }
    };

    (name, Value::Object(fields).to_string().into_bytes())
}
