//! From the bytes of a message to an [`Event`], or the reason why not.

use super::body::{BalanceChange, Body, Event, Fill, Heartbeat, Order};
use super::fields::Fields;
use super::malformed::{EVENT_BYTES_MAX, Malformed, MalformedKind};
use super::subject::{BareSubjects, Kind, Subject};
use crate::ids::{AccountId, TradingId, UserId};
use crate::json::{self, JsonError};
use crate::ledger::{Belief, Command, Direction, Movement, Side};
use crate::money::Number;
use crate::states::{BotStatus, State};
use serde_json::{Map, Value};
use uuid::Uuid;

const ID_CHARS_MAX: usize = 128;
const NAME_CHARS_MAX: usize = 128;
const REASON_CHARS_MAX: usize = 50;
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
const STACK_TRACE_BYTES_MAX: usize = 32 * 1024;

/// Parses a message as the stream delivers it.
pub fn parse(subject: &str, payload: &[u8], bare: BareSubjects) -> Result<Event, Box<Malformed>> {
    let parsed_subject = Subject::parse(subject);
    let mut hints = Hints {
        event_id: None,
        user_id: parsed_subject
            .as_ref()
            .and_then(|s| s.user.as_deref())
            .and_then(|user| Uuid::try_parse(user).ok()),
        trading_id: None,
    };
    let parsed = parse_with_hints(subject, parsed_subject, payload, bare, &mut hints);
    parsed.map_err(|kind| {
        let Hints {
            event_id,
            user_id,
            trading_id,
        } = hints;
        Box::new(Malformed {
            kind,
            event_id,
            user_id,
            trading_id,
        })
    })
}

/// What could be read before something went wrong.
struct Hints {
    event_id: Option<String>,
    user_id: Option<Uuid>,
    trading_id: Option<Uuid>,
}

fn parse_with_hints(
    subject: &str,
    parsed_subject: Option<Subject>,
    payload: &[u8],
    bare: BareSubjects,
    hints: &mut Hints,
) -> Result<Event, MalformedKind> {
    if payload.len() > EVENT_BYTES_MAX {
        return Err(MalformedKind::TooLarge(payload.len()));
    }
    // What is not even JSON is told as such, also when it breaks a rule of ours on top.
    let object = serde_json::from_slice::<Map<String, Value>>(payload);
    json::check(payload).map_err(|error| match (&object, error) {
        (Err(why), JsonError::DuplicateKey(_) | JsonError::Nul | JsonError::Number(_)) => {
            MalformedKind::NotJson(why.to_string())
        }
        (_, error) => MalformedKind::InvalidJson(error),
    })?;
    let object = object.map_err(|why| MalformedKind::NotJson(why.to_string()))?;
    note_hints(&object, hints);
    let subject = parsed_subject
        .ok_or_else(|| MalformedKind::UnknownSubject(subject.chars().take(256).collect()))?;
    let event = parse_object(subject.kind, object)?;
    match &subject.user {
        Some(user) if *user != event.user.to_string() => Err(MalformedKind::SubjectMismatch),
        None if bare == BareSubjects::Refuse => Err(MalformedKind::BareSubject),
        Some(_) | None => Ok(event),
    }
}

fn note_hints(object: &Map<String, Value>, hints: &mut Hints) {
    let text = |name| object.get(name).and_then(Value::as_str);
    hints.event_id = text("event_id")
        .filter(|id| is_event_id(id))
        .map(str::to_owned);
    hints.user_id = text("user_id")
        .and_then(|id| Uuid::try_parse(id).ok())
        .or(hints.user_id);
    hints.trading_id = text("trading_id").and_then(|id| Uuid::try_parse(id).ok());
}

fn is_event_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn parse_object(kind: Kind, object: Map<String, Value>) -> Result<Event, MalformedKind> {
    let mut fields = Fields::new(object);
    let version = fields.text("version", NAME_CHARS_MAX)?;
    let version = fields.require("version", version)?;
    if version != "1" && !version.starts_with("1.") {
        return Err(MalformedKind::UnsupportedVersion(version));
    }
    let event_id = fields.text("event_id", ID_CHARS_MAX)?;
    let event_id = fields.require("event_id", event_id)?;
    if !is_event_id(&event_id) {
        let why = format!("must be 1 to {ID_CHARS_MAX} printable ASCII characters");
        return Err(MalformedKind::InvalidValue {
            field: "event_id".into(),
            why,
        });
    }
    fields.one_of("event_type", &[kind.bare_subject()])?;
    let timestamp = fields.time("timestamp")?;
    let user = fields.uuid("user_id")?;
    let user = UserId(fields.require("user_id", user)?);
    let trading = fields.uuid("trading_id")?;
    let trading = TradingId(fields.require("trading_id", trading)?);
    let source = fields.text_unnoted("source", NAME_CHARS_MAX)?;
    let source = fields.require("source", source)?;
    let metadata = fields.object("metadata")?;
    let sub_account = match kind {
        Kind::Heartbeat => None,
        _ => fields.uuid("sub_account_id")?.map(AccountId),
    };
    let (body, message) = match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => {
            fields.require("sub_account_id", sub_account)?;
            parse_order(kind, &mut fields)?
        }
        Kind::BalanceUpdated | Kind::BalanceLocked | Kind::BalanceUnlocked => {
            let account = fields.require("sub_account_id", sub_account)?;
            parse_balance(kind, account, &mut fields)?
        }
        Kind::Error => (Body::Error, parse_error(&mut fields)?),
        Kind::Signal => (Body::Signal, parse_signal(&mut fields)?),
        Kind::Heartbeat => (
            Body::Heartbeat(parse_heartbeat(&mut fields)?),
            String::new(),
        ),
    };
    let (unknown, raw, content_hash) = fields.finish();
    let mut info = Map::new();
    for (key, part) in [("metadata", metadata), ("unknown", unknown), ("raw", raw)] {
        if !part.is_empty() {
            info.insert(key.to_owned(), Value::Object(part));
        }
    }
    info.insert("source".to_owned(), source.into());
    Ok(Event {
        kind,
        event_id,
        timestamp,
        user,
        trading,
        sub_account,
        message,
        info,
        content_hash,
        body,
    })
}

fn parse_order(kind: Kind, fields: &mut Fields) -> Result<(Body, String), MalformedKind> {
    let order_id = fields.order_id("order_id")?;
    let order_id = fields.require("order_id", order_id)?;
    let symbol = fields.pair("symbol")?;
    let side_text = fields.one_of("side", &["buy", "sell"])?;
    fields.raw.insert("side".into(), side_text.as_str().into());
    let side = if side_text == "buy" {
        Side::Buy
    } else {
        Side::Sell
    };
    let order_type = fields.raw_text("type", NAME_CHARS_MAX)?;
    let amount = fields.raw_number("amount")?;
    let amount = fields.require("amount", amount)?;
    let price = fields.raw_number("price")?;
    let status = fields.raw_text("status", NAME_CHARS_MAX)?;
    let message = fields.words_unnoted("message", MESSAGE_BYTES_MAX)?;
    let fill = match kind {
        Kind::OrderFilled => parse_fill(fields)?,
        _ => None,
    };
    let message = message.unwrap_or_else(|| {
        let price = price
            .map(|price| format!(" at {price}"))
            .unwrap_or_default();
        format!(
            "{order_type} {side_text} {amount} {}/{}{price}: {status}",
            symbol.0, symbol.1
        )
    });
    Ok((
        Body::Order(Order {
            order_id,
            symbol,
            side,
            fill,
        }),
        message,
    ))
}

fn parse_fill(outer: &mut Fields) -> Result<Option<Fill>, MalformedKind> {
    let Some(mut fields) = outer.open("fill", "fill.")? else {
        return Ok(None);
    };
    let stock_account = fields.uuid("stock_account_id")?;
    let stock_account = AccountId(fields.require("stock_account_id", stock_account)?);
    let currency_account = fields.uuid("currency_account_id")?;
    let currency_account = AccountId(fields.require("currency_account_id", currency_account)?);
    let volume = fields.raw_number("volume")?;
    let volume = fields.require("volume", volume)?;
    let price = fields.raw_number("price")?;
    let price = fields.require("price", price)?;
    let fee = fields.raw_number("fee")?;
    let fee = fields.require("fee", fee)?;
    let fee_account = fields.uuid("fee_account_id")?.map(AccountId);
    let quote_amount = fields.raw_number("quote_amount")?;
    let reason = fields.text("reason", REASON_CHARS_MAX)?;
    if let Some(reason) = &reason {
        fields
            .raw
            .insert("fill.reason".into(), reason.as_str().into());
    }
    let stop_loss = reason.as_deref() == Some("stop_loss");
    outer.close("fill", fields);
    Ok(Some(Fill {
        stock_account,
        currency_account,
        volume,
        price,
        fee,
        fee_account,
        quote_amount,
        stop_loss,
    }))
}

fn parse_balance(
    kind: Kind,
    account: AccountId,
    fields: &mut Fields,
) -> Result<(Body, String), MalformedKind> {
    let asset = fields.asset("symbol")?;
    let order = fields.order_id("related_order_id")?;
    let message = fields.words_unnoted("message", MESSAGE_BYTES_MAX)?;
    if kind != Kind::BalanceUpdated {
        fields.raw.insert("symbol".into(), asset.as_str().into());
        let amount = fields.raw_number("amount")?;
        let amount = fields.require("amount", amount)?;
        let verb = if kind == Kind::BalanceLocked {
            "lock"
        } else {
            "unlock"
        };
        let message = message.unwrap_or_else(|| format!("{verb} {amount} {asset}"));
        let order_id = order.clone();
        let command = if kind == Kind::BalanceLocked {
            Command::Lock {
                account,
                asset,
                amount,
                order,
            }
        } else {
            Command::Unlock {
                account,
                asset,
                amount,
                order,
            }
        };
        return Ok((Body::Balance(BalanceChange { order_id, command }), message));
    }
    let amount = fields.number("amount")?;
    let amount = fields.require("amount", amount)?;
    let direction = match fields.one_of("direction", &["credit", "debit"])?.as_str() {
        "credit" => Direction::Credit,
        _ => Direction::Debit,
    };
    let reason = fields.text("reason", REASON_CHARS_MAX)?;
    let reason = fields.require("reason", reason)?;
    let belief = Belief {
        previous_balance: fields.rounded_number("previous_balance")?,
        new_balance: fields.rounded_number("new_balance")?,
    };
    let message =
        message.unwrap_or_else(|| format!("{} {amount} {asset}: {reason}", direction.as_str()));
    let order_id = order.clone();
    let movement = Movement {
        account,
        asset,
        direction,
        amount,
        order,
        reason,
        belief,
    };
    Ok((
        Body::Balance(BalanceChange {
            order_id,
            command: Command::Move(movement),
        }),
        message,
    ))
}

fn parse_error(fields: &mut Fields) -> Result<String, MalformedKind> {
    fields.raw_text("error_code", NAME_CHARS_MAX)?;
    let message = fields.words("error_message", MESSAGE_BYTES_MAX)?;
    let message = fields.require("error_message", message)?;
    let severity = fields.one_of("severity", &["low", "medium", "high", "critical"])?;
    fields.raw.insert("severity".into(), severity.into());
    fields.raw_text("component", NAME_CHARS_MAX)?;
    if let Some(trace) = fields.words("stack_trace", STACK_TRACE_BYTES_MAX)? {
        fields.raw.insert("stack_trace".into(), trace.into());
    }
    Ok(message)
}

fn parse_signal(fields: &mut Fields) -> Result<String, MalformedKind> {
    let signal = fields.one_of("signal_type", &["buy", "sell", "hold"])?;
    fields
        .raw
        .insert("signal_type".into(), signal.as_str().into());
    let (base, quote) = fields.pair("symbol")?;
    let confidence = fields.raw_number("confidence")?;
    let confidence = fields.require("confidence", confidence)?;
    let one = Number::from(crate::money::Money::ONE);
    if confidence.is_negative() || confidence > one {
        let why = format!("must be between 0 and 1 (given: {confidence})");
        return Err(MalformedKind::InvalidValue {
            field: "confidence".into(),
            why,
        });
    }
    fields.raw_number("price")?;
    let strategy = fields.raw_text("strategy", NAME_CHARS_MAX)?;
    let reasoning = fields.words("reasoning", MESSAGE_BYTES_MAX)?;
    Ok(reasoning
        .unwrap_or_else(|| format!("{strategy}: {signal} {base}/{quote}, confidence {confidence}")))
}

fn parse_heartbeat(fields: &mut Fields) -> Result<Heartbeat, MalformedKind> {
    let status = fields.one_of("status", &["healthy", "degraded", "unhealthy"])?;
    let status = BotStatus::parse(&status).map_err(|error| MalformedKind::InvalidValue {
        field: "status".to_owned(),
        why: error.to_string(),
    })?;
    let component = fields.text("component", NAME_CHARS_MAX)?;
    let component = fields.require("component", component)?;
    Ok(Heartbeat {
        status,
        component,
        metrics: fields.object("metrics")?,
    })
}
