//! Parses errors, signals and heartbeats, which change no balance.

use crate::event::body::{Body, Heartbeat, Parsed};
use crate::event::fields::{Field, Fields};
use crate::ledger::Pair;
use crate::money::{Money, Number};
use crate::states::{Severity, SignalType};
use crate::value::{Component, Invalid, Label, Message, StackTrace};

pub(super) fn parse_error(fields: &mut Fields<'_>) -> Field<Parsed> {
    fields.kept::<Label>("error_code")?;
    let message: Message = fields.required("error_message")?;
    fields.kept::<Severity>("severity")?;
    fields.kept::<Component>("component")?;
    fields.kept_optional::<StackTrace>("stack_trace")?;

    Ok((Body::Error, message.into_string()))
}

pub(super) fn parse_signal(fields: &mut Fields<'_>) -> Field<Parsed> {
    let signal: SignalType = fields.kept("signal_type")?;
    let symbol: Pair = fields.kept("symbol")?;
    let confidence = parse_confidence(fields)?;
    fields.kept_number_optional("price")?;
    let strategy: Label = fields.kept("strategy")?;
    let reasoning: Option<Message> = fields.optional("reasoning")?;

    let message = reasoning.map_or_else(
        || format!("{strategy}: {signal} {symbol}, confidence {confidence}"),
        Message::into_string,
    );
    Ok((Body::Signal, message))
}

fn parse_confidence(fields: &mut Fields<'_>) -> Field<Number> {
    let confidence = fields.kept_number("confidence")?;

    if confidence.is_negative() || confidence > Number::from(Money::ONE) {
        let why = format!("must be between 0 and 1 (given: {confidence})");
        return Err(fields.invalid("confidence", Invalid::new(why)));
    }
    Ok(confidence)
}

pub(super) fn parse_heartbeat(fields: &mut Fields<'_>) -> Field<Parsed> {
    let heartbeat = Heartbeat {
        status: fields.required("status")?,
        component: fields.required("component")?,
        metrics: fields.object("metrics")?.unwrap_or_default(),
    };

    Ok((Body::Heartbeat(heartbeat), String::new()))
}
