//! The auditor's parser of events.

use super::contract::Shape::{
    EventId, Id, Number, Object, OneOf, Pair, Share, Symbol, Text, Time, Words,
};
use super::contract::{COMMON, FEES_MAX, FILL, Field, KINDS, LISTED_FEE, Shape};
use super::decimal;
use super::json::{self, Json};
use bigdecimal::{BigDecimal, Signed, Zero};
use chrono::{DateTime, Datelike, Utc};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use uuid::Uuid;

/// Longest payload of an event, in bytes.
const PAYLOAD_BYTES_MAX: usize = 65_536;

/// A valid event.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The subject without its user.
    pub(super) kind: &'static str,
    pub(super) user: Uuid,
    pub(super) trading: Uuid,
    pub(super) event_id: String,
    /// The content that decides whether two events are equal.
    pub(super) content: String,
    /// Texts by field, with symbols in upper case; fields of a fill begin with `fill.`.
    pub(super) texts: BTreeMap<String, String>,
    pub(super) numbers: BTreeMap<String, BigDecimal>,
    pub(super) ids: BTreeMap<String, Uuid>,
    pub(super) has_fill: bool,
    /// The length of `fees` in the fill.
    pub(super) listed_fees: usize,
}

impl Reading {
    /// Creates an event without fields.
    fn empty(kind: &'static str) -> Self {
        Self {
            kind,
            user: Uuid::nil(),
            trading: Uuid::nil(),
            event_id: String::new(),
            content: kind.to_owned(),
            texts: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ids: BTreeMap::new(),
            has_fill: false,
            listed_fees: 0,
        }
    }

    /// Reports whether the event is about an order.
    pub(super) fn is_of_order(&self) -> bool {
        self.kind.starts_with("trading.orders.")
    }

    /// Reports whether the event locks or unlocks an amount.
    pub(super) fn is_of_hold(&self) -> bool {
        self.kind.ends_with("locked")
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.texts.get(field).map_or("", String::as_str)
    }
}

/// Parses a message; None when it is malformed. `subject` is as published, without a lane.
pub(super) fn read(subject: &str, payload: &[u8], accepts_bare_subjects: bool) -> Option<Reading> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let (kind, own, token) = KINDS.iter().find_map(|(kind, own)| {
        let token = subject.strip_prefix(kind)?;
        if token.is_empty() {
            Some((*kind, *own, None))
        } else {
            Some((*kind, *own, Some(token.strip_prefix('.')?)))
        }
    })?;
    let document = json::parse(payload)?;
    if !matches!(document, Json::Object(_))
        || document.field("event_type") != Some(&Json::Text(kind.to_owned()))
    {
        return None;
    }
    let mut event = Reading::empty(kind);
    read_fields(&document, "", &COMMON, &mut event)?;
    read_fields(&document, "", own, &mut event)?;
    if kind == "trading.orders.filled"
        && let Some(fill) = document.field("fill")
    {
        if !matches!(fill, Json::Object(_)) {
            return None;
        }
        event.has_fill = true;
        read_fields(fill, "fill.", &FILL, &mut event)?;
        read_fees(fill, &mut event)?;
    }

    let version = event.text("version");
    if version != "1" && !version.starts_with("1.") {
        return None;
    }
    event.user = *event.ids.get("user_id")?;
    event.trading = *event.ids.get("trading_id")?;
    event.event_id = event.text("event_id").to_owned();
    match token {
        Some(token) if token == event.user.hyphenated().to_string() => Some(event),
        Some(_) => None,
        None => accepts_bare_subjects.then_some(event),
    }
}

/// Adds the fields of `object` to `event`; None when one is missing or invalid.
fn read_fields(object: &Json, prefix: &str, fields: &[Field], event: &mut Reading) -> Option<()> {
    for field in fields {
        let Some(value) = object.field(field.name) else {
            if field.required {
                return None;
            }
            continue;
        };

        let path = format!("{prefix}{}", field.name);
        let content = read_field(&path, field.shape, value, event)?;
        if !matches!(field.name, "metadata" | "message" | "source") {
            event.content.push_str(&format!("\n{path}={content:?}"));
        }
    }
    Some(())
}

/// Adds the listed fees of a fill to `event`; None when there are too many, or neither `fee` nor `fees`.
fn read_fees(fill: &Json, event: &mut Reading) -> Option<()> {
    let single = event.numbers.get("fill.fee");
    let items = match fill.field("fees") {
        None if single.is_some() => return Some(()),
        Some(Json::List(items)) => items,
        _ => return None,
    };
    let counted = single.is_some_and(|fee| !fee.is_zero());
    if items.len() + usize::from(counted) > FEES_MAX {
        return None;
    }

    event.listed_fees = items.len();
    for (at, item) in items.iter().enumerate() {
        if !matches!(item, Json::Object(_)) {
            return None;
        }
        read_fields(item, &format!("fill.fees[{at}]."), &LISTED_FEE, event)?;
    }
    Some(())
}

/// Adds a field to `event`; returns its content in the form that is compared.
fn read_field(path: &str, shape: Shape, value: &Json, event: &mut Reading) -> Option<String> {
    match (shape, value) {
        (Object, Json::Object(_)) => Some(String::new()),
        (Number | Share, Json::Number(text) | Json::Text(text)) => {
            let number = decimal::parse(text)?.normalized();
            if matches!(shape, Share) && (number.is_negative() || number > 1) {
                return None;
            }
            event.numbers.insert(path.to_owned(), number.clone());
            Some(number.to_plain_string())
        }
        (Id, Json::Text(text)) => {
            let id = Uuid::try_parse(text).ok()?;
            event.ids.insert(path.to_owned(), id);
            Some(id.to_string())
        }
        (Time, Json::Text(text)) => {
            let time: DateTime<Utc> = DateTime::parse_from_rfc3339(text).ok()?.into();
            (1..=9_999)
                .contains(&time.year())
                .then(|| format!("{time:?}"))
        }
        (_, Json::Text(text)) if is_valid(shape, text) => {
            let content = match shape {
                Symbol | Pair => stored(text),
                _ => text.clone(),
            };
            event.texts.insert(path.to_owned(), content.clone());
            Some(content)
        }
        _ => None,
    }
}

/// Reports whether a text has this shape.
fn is_valid(shape: Shape, text: &str) -> bool {
    match shape {
        Text(max) => (1..=max).contains(&text.chars().count()),
        Words(max) => text.len() <= max,
        OneOf(allowed) => allowed.contains(&text),
        EventId => {
            let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            printable && (1..=128).contains(&text.len())
        }
        Symbol => is_symbol(text),
        Pair => {
            let parts: Vec<&str> = text.split('/').collect();
            parts.len() == 2 && parts.into_iter().all(is_symbol)
        }
        Object | Number | Share | Id | Time => false,
    }
}

fn is_symbol(text: &str) -> bool {
    let symbol = stored(text);
    let is_allowed =
        |c: char| c.is_alphanumeric() || is_combining_mark(c) || "._:-+$@#&*!".contains(c);
    (1..=64).contains(&symbol.chars().count()) && symbol.chars().all(is_allowed)
}

/// Returns symbols in upper case and in composed characters.
fn stored(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.to_uppercase().nfc().collect()
}
