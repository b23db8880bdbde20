//! The steps of a draft that change orders and what they hold.

use super::Draft;
use crate::ids::AccountId;
use crate::ledger::account::HoldKey;
use crate::ledger::command::{Hold, Movement, OrderEvent, Trade};
use crate::ledger::names::{Asset, OrderId, Pair};
use crate::ledger::order::{Order, OrderKey, OrderStep};
use crate::ledger::rejected::Result;
use crate::money::{Money, Number};
use crate::states::DriftKind;

/// How much more than the bare need of an order a lock may hold for fees, in percent.
const FEE_MARGIN_PERCENT: i128 = 5;

/// Pairs on which an order id is used, at most. An event of an order loads all orders of the id with their holds, so that
/// without limits one event could take more time or memory than a batch may, and stop its lane for other users.
const ORDER_PAIRS_MAX: usize = 100;

/// The order that a lock, unlock or movement means.
pub(in crate::ledger) struct Target {
    /// The pair; `None` when it is not known.
    pub(in crate::ledger) pair: Option<Pair>,
    /// Whether the id is used on several pairs, and none of them is named.
    is_ambiguous: bool,
}

/// What a fill changed, in amounts that the books can hold.
pub(in crate::ledger) struct Filled<'a> {
    pub(in crate::ledger) volume: Money,
    pub(in crate::ledger) value: Money,
    /// The fees by account; rebates are below zero.
    pub(in crate::ledger) fees: Vec<(AccountId, &'a Number)>,
}

impl Draft<'_> {
    /// Returns the orders of an id in their drafted state.
    fn orders<'s>(&'s self, id: &'s OrderId) -> impl Iterator<Item = &'s Order> + 's {
        let changed = self
            .effect
            .orders
            .iter()
            .filter(|order| order.key.id == *id);
        let stored = self.book.orders(self.trading, id).filter(|stored| {
            let is_changed = |order: &Order| {
                order.key.id == *id
                    && (order.key.pair == stored.key.pair || stored.key.pair.is_none())
            };
            !self.effect.orders.iter().any(is_changed)
        });

        changed.chain(stored)
    }

    /// Returns the order that is meant by an id and, if it is named, a pair.
    pub(in crate::ledger) fn resolve(&self, id: &OrderId, pair: Option<&Pair>) -> Target {
        let mut known = self.orders(id).filter_map(|order| order.key.pair.as_ref());

        let (pair, is_ambiguous) = match (pair, known.next(), known.next()) {
            (Some(pair), _, _) => (Some(pair.clone()), false),
            (None, Some(_), Some(_)) => (None, true),
            (None, only, _) => (only.cloned(), false),
        };
        Target { pair, is_ambiguous }
    }

    /// Returns the holds that are used for an order: its own, then those of locks without a pair, unless the id is used on
    /// another pair too.
    pub(in crate::ledger) fn usable(&self, id: &OrderId, pair: Option<&Pair>) -> Vec<HoldKey> {
        let without_pair = HoldKey::new(Some(id), None);
        let Some(pair) = pair else {
            return vec![without_pair];
        };

        let mut known = self.orders(id).filter_map(|order| order.key.pair.as_ref());
        let mut holds = vec![HoldKey::new(Some(id), Some(pair))];
        if known.all(|other| other == pair) {
            holds.push(without_pair);
        }
        holds
    }

    /// Returns an order that the event is about, new if there is none.
    fn order_mut(&mut self, id: &OrderId, pair: Option<&Pair>) -> &mut Order {
        let at = self.at;
        let order = self.drafted_order(id, pair);
        order.see(at);
        order
    }

    /// Returns an order to change, new if there is none. An order with a pair takes over the one without.
    fn drafted_order(&mut self, id: &OrderId, pair: Option<&Pair>) -> &mut Order {
        let key = OrderKey {
            trading: self.trading,
            id: id.clone(),
            pair: pair.cloned(),
        };
        let is_meant = |order: &Order| {
            order.key.id == key.id && (order.key.pair == key.pair || order.key.pair.is_none())
        };

        let changed = self.effect.orders.iter().position(is_meant);
        let at = changed.unwrap_or_else(|| {
            let mut stored = self.book.orders(self.trading, id);
            let order = stored.find(|order| is_meant(order)).cloned();
            let order = order.unwrap_or_else(|| {
                let ordinal = self.orders(id).count();
                Order::new(key.clone(), ordinal, self.at)
            });
            self.effect.orders.push(order);
            self.effect.orders.len() - 1
        });

        let order = &mut self.effect.orders[at];
        order.key = key;
        order
    }

    /// Returns the hold that a lock increases; `None` when its order has ended, which is drift.
    pub(super) fn lockable(&mut self, hold: &Hold, amount: &Number) -> Option<HoldKey> {
        let Some(id) = &hold.order else {
            return Some(HoldKey::default());
        };

        let target = self.resolve(id, hold.pair.as_ref());
        if self.has_ended(id, target.pair.as_ref()) {
            self.note(DriftKind::OrderEnded, amount.clone());
            return None;
        }
        if target.is_ambiguous {
            self.note(DriftKind::AmbiguousOrder, amount.clone());
        }
        Some(HoldKey::new(Some(id), target.pair.as_ref()))
    }

    /// Returns whether an order has ended; without a pair, whether all orders of the id have.
    fn has_ended(&self, id: &OrderId, pair: Option<&Pair>) -> bool {
        let mut meant = self
            .orders(id)
            .filter(|order| pair.is_none() || order.key.pair.as_ref() == pair)
            .peekable();

        meant.peek().is_some() && meant.all(|order| order.status.has_ended())
    }

    /// Records a lock in its order, and as drift if the order cannot need it.
    pub(super) fn note_lock(&mut self, hold: &Hold, key: &HoldKey) -> Result<()> {
        let Some(id) = &hold.order else {
            return Ok(());
        };
        if key.pair.is_none() && self.resolve(id, None).is_ambiguous {
            return Ok(());
        }

        let account = self.account(hold.account)?;
        let asset = account.asset.clone();
        let held: Number = self.hold(hold.account, key).into();
        let locked = hold.amount.rounded().to_money().unwrap_or_default();
        let order = self.order_mut(id, key.pair.as_ref());
        let is_repeated = order.fills == 0 && order.last_lock == Some((hold.account, locked));
        let excess = excess(order, &asset, &held);

        let has_room = order.name_account(hold.account);
        order.last_lock = Some((hold.account, locked));
        self.exceeds_accounts |= !has_room;
        if is_repeated {
            self.note(DriftKind::RepeatedLock, locked.into());
        }
        if let Some(excess) = excess {
            self.note(DriftKind::HoldExceedsOrder, excess);
        }
        Ok(())
    }

    /// Returns the holds that an unlock decreases.
    pub(super) fn unlockable(&mut self, hold: &Hold, amount: &Number) -> Vec<HoldKey> {
        let Some(id) = &hold.order else {
            return vec![HoldKey::default()];
        };

        let target = self.resolve(id, hold.pair.as_ref());
        if target.is_ambiguous {
            self.note(DriftKind::AmbiguousOrder, amount.clone());
        }
        self.usable(id, target.pair.as_ref())
    }

    /// Records an unlock in its order.
    pub(super) fn note_unlock(&mut self, hold: &Hold, holds: &[HoldKey]) -> Result<()> {
        let Some(id) = &hold.order else {
            return Ok(());
        };
        let target = self.resolve(id, hold.pair.as_ref());
        if target.is_ambiguous {
            return Ok(());
        }

        let is_used_up = holds
            .iter()
            .all(|key| self.hold(hold.account, key) == Money::ZERO);
        let order = self.order_mut(id, target.pair.as_ref());
        order.name_account(hold.account);
        if is_used_up {
            order.last_lock = None;
        }
        Ok(())
    }

    /// Returns the holds that a debit consumes first.
    pub(in crate::ledger) fn debitable(
        &mut self,
        movement: &Movement,
        amount: &Number,
    ) -> Vec<HoldKey> {
        let Some(id) = &movement.order else {
            return Vec::new();
        };

        let target = self.resolve(id, movement.pair.as_ref());
        if target.is_ambiguous {
            self.note(DriftKind::AmbiguousOrder, amount.clone());
        }
        self.usable(id, target.pair.as_ref())
    }

    /// Forgets the last lock of an order when the account of the lock holds nothing for the order any more.
    pub(in crate::ledger) fn forget_lock(
        &mut self,
        id: &OrderId,
        pair: Option<&Pair>,
        account: AccountId,
    ) -> Result<()> {
        let pair = self.resolve(id, pair).pair;
        let mut holds = self.usable(id, pair.as_ref()).into_iter();
        let is_used_up = holds.all(|key| self.hold(account, &key) == Money::ZERO);
        if !is_used_up {
            return Ok(());
        }

        let is_meant = |order: &&Order| {
            let is_of_account = order.last_lock.is_some_and(|(locked, _)| locked == account);
            is_of_account && (order.key.pair == pair || order.key.pair.is_none())
        };
        let key = self
            .orders(id)
            .find(is_meant)
            .map(|order| order.key.clone());
        if let Some(key) = key {
            self.drafted_order(id, key.pair.as_ref()).last_lock = None;
        }
        Ok(())
    }

    /// Records a step of an order that moves no money.
    pub(in crate::ledger) fn report(&mut self, event: &OrderEvent) -> Result<()> {
        let order = self.order_mut(&event.order, Some(&event.pair));
        let is_creation = event.step == OrderStep::Created;
        order.describe(event.side, &event.terms, is_creation);
        order.take_step(event.step);
        if let Some(account) = event.account {
            order.name_account(account);
        }

        let has_ended = order.status.has_ended();
        let expects_hold = order.fills == 0 && order.last_lock.is_some();
        let locked = order.last_lock.map(|(_, amount)| amount);
        if !has_ended {
            return Ok(());
        }
        let held_any = self.end(&event.order, &event.pair)?;
        if let Some(locked) = locked.filter(|_| expects_hold && !held_any) {
            self.note(DriftKind::NothingToRelease, locked.into());
        }
        Ok(())
    }

    /// Records a fill in its order, and releases the holds of an order that ends with it.
    pub(in crate::ledger) fn fill(
        &mut self,
        id: &OrderId,
        trade: &Trade,
        filled: &Filled<'_>,
    ) -> Result<()> {
        let pair = trade.pair();
        let fees = filled.fees.iter().map(|(account, amount)| {
            let asset = self.account(*account)?.asset.clone();
            Ok((*account, asset, *amount))
        });
        let fees = fees.collect::<Result<Vec<_>>>()?;
        let order = self.order_mut(id, Some(&pair));
        let has_room = add_fill(order, trade, filled, fees);

        let step = OrderStep::Filled {
            ends: trade.ends_order,
        };
        order.take_step(step);
        let excess = order.excess();
        let has_ended = order.status.has_ended();
        self.exceeds_accounts |= !has_room;
        if let Some(excess) = excess.filter(|_| filled.volume.is_positive()) {
            self.note(DriftKind::Overfilled, excess.into());
        }
        if has_ended {
            self.end(id, &pair)?;
        }
        Ok(())
    }

    /// Returns whether the command is about a new order of an id that is used on as many pairs as it may.
    pub(in crate::ledger) fn exceeds_pairs(&self) -> bool {
        let mut excessive = self
            .effect
            .orders
            .iter()
            .filter(|order| order.ordinal >= ORDER_PAIRS_MAX);

        excessive.any(|order| {
            let mut stored = self.book.orders(self.trading, &order.key.id);
            stored.all(|stored| stored.ordinal != order.ordinal)
        })
    }

    /// Releases what an order that has ended holds on any account; returns whether it held anything. The holds of locks
    /// without a pair belong to it too, unless another order of the id is open.
    fn end(&mut self, id: &OrderId, pair: &Pair) -> Result<bool> {
        let mut holds = vec![HoldKey::new(Some(id), Some(pair))];
        if self.orders(id).all(|order| order.status.has_ended()) {
            holds.push(HoldKey::new(Some(id), None));
        }

        let accounts: Vec<AccountId> = self.book.accounts_of(self.trading).collect();
        let mut held_any = false;
        for account in accounts {
            held_any |= self.consume(account, &holds, i128::MAX)? > 0;
        }
        self.order_mut(id, Some(pair)).last_lock = None;
        Ok(held_any)
    }
}

/// Returns by how much a hold exceeds what its order can need, if that is known.
fn excess(order: &Order, asset: &Asset, held: &Number) -> Option<Number> {
    let need = order.need(asset)?;
    let margin = Money::from_units(Money::ONE.units() / 100 * (100 + FEE_MARGIN_PERCENT))?;
    if *held <= need.times(&margin.into()) {
        return None;
    }
    Some(held.minus(&need))
}

/// Adds a fill to its order. Sums end at the limit of the books, because a fill is a fact whatever the others were. Returns
/// false when the order remembers too many other accounts.
fn add_fill(
    order: &mut Order,
    trade: &Trade,
    filled: &Filled<'_>,
    fees: Vec<(AccountId, Asset, &Number)>,
) -> bool {
    order.side = Some(trade.side);
    if let Some(terms) = &trade.terms {
        order.describe(trade.side, terms, false);
    }
    let mut has_room = true;
    for account in [trade.stock_account, trade.currency_account] {
        has_room &= order.name_account(account);
    }

    order.filled = order.filled.saturating_add(filled.volume);
    order.quote_filled = order.quote_filled.saturating_add(filled.value);
    for (account, asset, amount) in fees {
        let total = order.fees.entry(asset).or_default();
        *total = total.saturating_add(amount.rounded().to_money().unwrap_or_default());
        has_room &= order.name_account(account);
    }
    order.fees.retain(|_, total| *total != Money::ZERO);
    order.fills += i32::from(filled.volume.is_positive());
    has_room
}

impl Trade {
    /// Returns the pair of the trade.
    pub(in crate::ledger) fn pair(&self) -> Pair {
        Pair {
            base: self.stock.clone(),
            quote: self.currency.clone(),
        }
    }
}
