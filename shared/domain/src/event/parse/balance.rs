//! Parses `balance.*`: a movement, lock or unlock of one account.

use crate::event::body::{BalanceChange, Body, Parsed};
use crate::event::fields::{Field, Fields};
use crate::event::kind::Kind;
use crate::ids::AccountId;
use crate::ledger::{Asset, Belief, Command, Hold, Lock, Movement, OrderId, Pair};
use crate::states::Direction;
use crate::value::{Message, Reason};
use chrono::SecondsFormat;

/// The first fields of every change of a balance.
struct Common {
    asset: Asset,
    order: Option<OrderId>,
    pair: Option<Pair>,
    message: Option<String>,
}

impl Common {
    fn parse(fields: &mut Fields<'_>) -> Field<Self> {
        Ok(Self {
            asset: fields.required("symbol")?,
            order: fields.optional("related_order_id")?,
            pair: fields.kept_optional("order_symbol")?,
            message: fields.unhashed("message")?.map(Message::into_string),
        })
    }
}

pub(super) fn parse_update(account: AccountId, fields: &mut Fields<'_>) -> Field<Parsed> {
    let Common {
        asset,
        order,
        pair,
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
        pair,
        reason: reason.into_string(),
        belief,
    });
    Ok((Body::Balance(BalanceChange { order_id, command }), message))
}

pub(super) fn parse_hold(kind: Kind, account: AccountId, fields: &mut Fields<'_>) -> Field<Parsed> {
    let Common {
        asset,
        order,
        pair,
        message,
    } = Common::parse(fields)?;
    fields.keep("symbol", asset.to_string());
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
        let expires_at = fields.time_optional("expires_at")?;
        if let Some(time) = expires_at {
            let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            fields.keep("expires_at", text);
        }
        Command::Lock(Lock { hold, expires_at })
    } else {
        Command::Unlock(hold)
    };
    Ok((Body::Balance(BalanceChange { order_id, command }), message))
}
