//! Parses `orders.*`: a change of an order, and the settlement of a fill.

use crate::event::body::{Body, Fill, Order, Parsed};
use crate::event::fields::{Field, Fields};
use crate::event::kind::Kind;
use crate::ids::AccountId;
use crate::ledger::{FEES_MAX, Fee, OrderTerms, Pair, says_filled};
use crate::money::{Money, Number};
use crate::states::Side;
use crate::value::{Invalid, Label, Message, Reason};

pub(super) fn parse(kind: Kind, fields: &mut Fields<'_>) -> Field<Parsed> {
    let order_id = fields.required("order_id")?;
    let symbol: Pair = fields.kept("symbol")?;
    let side: Side = fields.kept("side")?;
    let order_type: Label = fields.kept("type")?;
    let amount = fields.kept_number("amount")?;
    let price = fields.kept_number_optional("price")?;
    let status: Label = fields.kept("status")?;
    let message = fields.unhashed("message")?.map(Message::into_string);
    let fill = match kind {
        Kind::OrderFilled => fields.nested("fill", "fill.", parse_fill)?,
        _ => None,
    };

    let message = message.unwrap_or_else(|| {
        let price = price.as_ref();
        let price = price.map_or_else(String::new, |price| format!(" at {price}"));
        format!("{order_type} {side} {amount} {symbol}{price}: {status}")
    });
    let order = Order {
        order_id,
        symbol,
        side,
        terms: OrderTerms {
            kind: order_type.into_string(),
            amount,
            price,
        },
        is_filled: says_filled(status.as_str()),
        fill,
    };
    Ok((Body::Order(order), message))
}

/// The prefixes of the fields of each fee.
const FEE_PREFIXES: [&str; FEES_MAX] = [
    "fill.fees[0].",
    "fill.fees[1].",
    "fill.fees[2].",
    "fill.fees[3].",
];

/// Reads the fields in the order of the statements below, on which the content hash depends.
fn parse_fill(fields: &mut Fields<'_>) -> Field<Fill> {
    let stock_account = fields.required("stock_account_id")?;
    let currency_account = fields.required("currency_account_id")?;
    let volume = fields.kept_number("volume")?;
    let price = fields.kept_number("price")?;
    let fee = fields.kept_number_optional("fee")?;
    let fee_account: Option<AccountId> = fields.optional("fee_account_id")?;
    let quote_amount = fields.kept_number_optional("quote_amount")?;
    let reason = fields.kept_optional::<Reason>("reason")?;
    let listed = fields.list("fees", &FEE_PREFIXES, parse_fee)?;

    let fee = match listed {
        Some(_) => fee.unwrap_or_else(|| Money::ZERO.into()),
        None => fields.require("fee", fee)?,
    };
    let payer = fee_account.unwrap_or(currency_account);
    let fees = Fee::all((payer, fee), listed.unwrap_or_default())
        .map_err(|why| fields.invalid("fees", Invalid::new(why)))?;

    Ok(Fill {
        stock_account,
        currency_account,
        volume,
        price,
        quote_amount,
        fees,
        stop_loss: reason.is_some_and(|reason| reason.as_str() == "stop_loss"),
    })
}

fn parse_fee(fields: &mut Fields<'_>) -> Field<(AccountId, Number)> {
    let account = fields.required("account_id")?;
    let amount = fields.kept_number("amount")?;
    Ok((account, amount))
}
