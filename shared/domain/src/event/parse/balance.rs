//! Parses `balance.*`: a movement, lock or unlock of one account.

use crate::event::body::{BalanceChange, Body, Parsed};
use crate::event::fields::{Field, Fields};
use crate::event::kind::Kind;
use crate::ids::AccountId;
use crate::ledger::{Asset, Belief, Command, Hold, Movement, OrderId, Pair};
use crate::states::Direction;
use crate::value::{Message, Reason};

/// The first fields of every change of a balance.
struct Common {
    asset: Asset,
    order: Option<OrderId>,
    message: Option<String>,
}

impl Common {
    fn parse(fields: &mut Fields<'_>) -> Field<Self> {
        Ok(Self {
            asset: fields.required("symbol")?,
            order: fields.optional("related_order_id")?,
            message: fields.unhashed("message")?.map(Message::into_string),
        })
    }
}

pub(super) fn parse_update(account: AccountId, fields: &mut Fields<'_>) -> Field<Parsed> {
    let Common {
        asset,
        order,
        message,
    } = Common::parse(fields)?;
    let amount = fields.rounded_number("amount")?;
    let amount = fields.require("amount", amount)?;
    let direction: Direction = fields.required("direction")?;
    let reason: Reason = fields.required("reason")?;
    let belief = Belief {
        previous_balance: fields.rounded_number("previous_balance")?,
        new_balance: fields.rounded_number("new_balance")?,
    };

    let message = message.unwrap_or_else(|| format!("{direction} {amount} {asset}: {reason}"));
    let order_id = order.clone();
    let command = Command::Move(Movement {
        account,
        asset,
        direction,
        amount,
        order,
        reason: reason.into_string(),
        belief,
    });
    Ok((Body::Balance(BalanceChange { order_id, command }), message))
}

pub(super) fn parse_hold(kind: Kind, account: AccountId, fields: &mut Fields<'_>) -> Field<Parsed> {
    let Common {
        asset,
        order,
        message,
    } = Common::parse(fields)?;
    fields.keep("symbol", asset.to_string());
    let pair: Option<Pair> = fields.kept_optional("order_symbol")?;
    let amount = fields.kept_number("amount")?;

    let locks = kind == Kind::BalanceLocked;

    let message = message.unwrap_or_else(|| {
        let verb = if locks { "lock" } else { "unlock" };
        format!("{verb} {amount} {asset}")
    });
    let order_id = order.clone();
    let hold = Hold {
        account,
        asset,
        amount,
        order,
        pair,
    };
    let command = if locks {
        Command::Lock(hold)
    } else {
        Command::Unlock(hold)
    };
    Ok((Body::Balance(BalanceChange { order_id, command }), message))
}
