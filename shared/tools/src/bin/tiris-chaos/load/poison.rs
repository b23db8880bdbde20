//! Messages nobody can read: each must become one dead letter and hold up nobody.
//!
//! Owns: the ways to be wrong. Must not know: what is right beyond the one event it breaks.

use super::event::{Message, Origin};
use super::people::Account;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use uuid::Uuid;

/// One byte more than an event may have, and half a message more than that.
const TOO_LONG_BYTES: usize = 65 * 1024;

/// Draws one, unlike any other of the run.
pub(super) fn draw(account: &Account, origin: Origin, rng: &mut StdRng) -> (&'static str, Message) {
    let kind = "trading.balance.updated";
    let own = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": "1", "direction": "credit",
                     "reason": "poison"});
    let mut fields = origin.fields(kind, own);
    let mut subject = format!("{kind}.{}", origin.user);
    let name = match rng.random_range(0..10) {
        0 => {
            let payload = format!("{{not json {}", origin.event_id()).into_bytes();
            return ("not JSON", Message { subject, payload });
        }
        1 => {
            let mut payload = Value::Object(fields).to_string().into_bytes();
            payload.truncate(payload.len() - rng.random_range(1..40));
            return ("cut off", Message { subject, payload });
        }
        2 => {
            let payload = [origin.event_id().as_bytes(), b"\xff\xfe\x00"].concat();
            return ("no text", Message { subject, payload });
        }
        3 => {
            let missing = [
                "timestamp",
                "trading_id",
                "amount",
                "direction",
                "version",
                "sub_account_id",
            ];
            fields.shift_remove(missing[rng.random_range(0..missing.len())]);
            "missing field"
        }
        4 => {
            fields.insert("user_id".to_owned(), json!(Uuid::from_u128(rng.random())));
            "other user"
        }
        5 => {
            fields.insert("note".to_owned(), "x".repeat(TOO_LONG_BYTES).into());
            "too long"
        }
        6 => {
            let wrong = ["1,5", "0x10", "NaN", "", "1e999999999", "ten"];
            fields.insert(
                "amount".to_owned(),
                wrong[rng.random_range(0..wrong.len())].into(),
            );
            "no number"
        }
        7 => {
            fields.insert("version".to_owned(), "2.0".into());
            "other version"
        }
        8 => {
            subject = kind.to_owned();
            "no user in the subject"
        }
        _ => {
            fields.insert("direction".to_owned(), json!(["credit"]));
            "wrong type"
        }
    };
    (
        name,
        Message {
            subject,
            payload: Value::Object(fields).to_string().into_bytes(),
        },
    )
}
