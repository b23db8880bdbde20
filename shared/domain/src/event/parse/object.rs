//! Parses the object of an event: the common fields, then those of its kind.

use super::{balance, order, report};
use crate::event::body::{Event, Parsed};
use crate::event::content::Content;
use crate::event::extent::{Extent, LEFT_OUT};
use crate::event::fields::{Field, Fields};
use crate::event::kind::Kind;
use crate::event::malformed::MalformedKind;
use crate::ids::AccountId;
use crate::value::{Invalid, Label};
use serde_json::{Map, Value as Json};

pub(super) fn parse(kind: Kind, object: Map<String, Json>) -> Field<Event> {
    let mut content = Content::new();
    let mut fields = Fields::new(object, &mut content);

    check_version(&mut fields)?;
    let event_id = fields.required("event_id")?;
    check_type(kind, &mut fields)?;
    let timestamp = fields.time("timestamp")?;
    let user = fields.required("user_id")?;
    let trading = fields.required("trading_id")?;
    let source = fields.unhashed::<Label>("source")?;
    let source = fields.require("source", source)?;
    let metadata = fields.object("metadata")?.unwrap_or_default();
    let sub_account = match kind {
        Kind::Heartbeat => None,
        _ => fields.optional("sub_account_id")?,
    };
    let (body, message) = parse_body(kind, sub_account, &mut fields)?;

    let unknown = fields.into_rest();
    let (raw, content_hash) = content.finish();
    let mut info = info_of([("metadata", metadata), ("unknown", unknown)], raw);
    info.insert("source".to_owned(), source.into_string().into());

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

/// Returns the info of the free parts and the raw texts. What happened is a fact however much a bot adds to it: a part that
/// is too large is left out, and `left_out` says why.
fn info_of(free: [(&str, Map<String, Json>); 2], raw: Map<String, Json>) -> Map<String, Json> {
    let mut info = Map::new();
    let mut left_out = Map::new();
    for (key, part) in free {
        match Extent::of(&part).excess() {
            Some(why) => left_out.insert(key.to_owned(), why.into()),
            None => info.insert(key.to_owned(), Json::Object(part)),
        };
    }
    info.insert("raw".to_owned(), Json::Object(raw));
    info.insert(LEFT_OUT.to_owned(), Json::Object(left_out));

    info.retain(|_, part| part.as_object().is_none_or(|part| !part.is_empty()));
    info
}

fn check_version(fields: &mut Fields<'_>) -> Field<()> {
    let version: Label = fields.required("version")?;

    match version.as_str() {
        "1" => Ok(()),
        minor if minor.starts_with("1.") => Ok(()),
        _ => Err(MalformedKind::UnsupportedVersion(version.into_string())),
    }
}

fn check_type(kind: Kind, fields: &mut Fields<'_>) -> Field<()> {
    let expected = kind.bare_subject();
    let given: Label = fields.required("event_type")?;

    if given.as_str() == expected {
        Ok(())
    } else {
        let given = Json::from(given.into_string());
        let why = Invalid::given(format!("must be one of {expected}"), &given);
        Err(fields.invalid("event_type", why))
    }
}

fn parse_body(kind: Kind, account: Option<AccountId>, fields: &mut Fields<'_>) -> Field<Parsed> {
    match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => {
            fields.require("sub_account_id", account)?;
            order::parse(kind, fields)
        }
        Kind::BalanceUpdated => {
            balance::parse_update(fields.require("sub_account_id", account)?, fields)
        }
        Kind::BalanceLocked | Kind::BalanceUnlocked => {
            balance::parse_hold(kind, fields.require("sub_account_id", account)?, fields)
        }
        Kind::Error => report::parse_error(fields),
        Kind::Signal => report::parse_signal(fields),
        Kind::Heartbeat => report::parse_heartbeat(fields),
    }
}
