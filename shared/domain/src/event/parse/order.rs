//! Parses `orders.*`: a change of an order, and the settlement of a fill.

use crate::event::body::{Body, Fill, Order, Parsed};
use crate::event::fields::{Field, Fields};
use crate::event::kind::Kind;
use crate::ledger::Pair;
use crate::states::Side;
use crate::value::{Message, Name, Reason};

pub(super) fn parse(kind: Kind, fields: &mut Fields<'_>) -> Field<Parsed> {
    let order_id = fields.required("order_id")?;
    let symbol: Pair = fields.kept("symbol")?;
    let side: Side = fields.kept("side")?;
    let order_type: Name = fields.kept("type")?;
    let amount = fields.kept_number("amount")?;
    let price = fields.kept_number_optional("price")?;
    let status: Name = fields.kept("status")?;
    let message = fields.unhashed("message")?.map(Message::into_string);
    let fill = match kind {
        Kind::OrderFilled => fields.nested("fill", "fill.", parse_fill)?,
        _ => None,
    };

    let message = message.unwrap_or_else(|| {
        let price = price.map_or_else(String::new, |price| format!(" at {price}"));
        format!("{order_type} {side} {amount} {symbol}{price}: {status}")
    });
    let order = Order {
        order_id,
        symbol,
        side,
        fill,
    };
    Ok((Body::Order(order), message))
}

/// Reads the fields in the order of the expressions below, on which the content hash depends.
fn parse_fill(fields: &mut Fields<'_>) -> Field<Fill> {
    Ok(Fill {
        stock_account: fields.required("stock_account_id")?,
        currency_account: fields.required("currency_account_id")?,
        volume: fields.kept_number("volume")?,
        price: fields.kept_number("price")?,
        fee: fields.kept_number("fee")?,
        fee_account: fields.optional("fee_account_id")?,
        quote_amount: fields.kept_number_optional("quote_amount")?,
        stop_loss: fields
            .kept_optional::<Reason>("reason")?
            .is_some_and(|reason| reason.as_str() == "stop_loss"),
    })
}
