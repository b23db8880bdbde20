//! Tests of the pure ledger: every command, every rejection, and properties of any sequence of commands.

mod fees;
mod generators;
mod holds;
mod movements;
mod orders;
mod precedence;
mod properties;
mod trades;

use super::{
    Account, Asset, Belief, Book, Command, Details, Direction, Effect, Fee, Held, Hold, HoldKey,
    Lock, Movement, OrderEvent, OrderId, OrderStep, OrderTerms, Pair, Rejected, Rejection, Release,
    Side, Trade, apply,
};
use crate::ids::{AccountId, TradingId, UserId};
use crate::money::{Money, Number};
use chrono::DateTime;
use uuid::Uuid;

const OWNER: UserId = UserId(Uuid::from_u128(0x100));
const OTHER_USER: UserId = UserId(Uuid::from_u128(0x101));
const TRADING: TradingId = TradingId(Uuid::from_u128(0x200));
const OTHER_TRADING: TradingId = TradingId(Uuid::from_u128(0x201));

/// Holds 10 BTC.
const STOCK: AccountId = AccountId(Uuid::from_u128(1));
/// Holds 1000 USDT.
const CURRENCY: AccountId = AccountId(Uuid::from_u128(2));
/// Holds 5 BNB.
const THIRD: AccountId = AccountId(Uuid::from_u128(3));
/// Holds 1000 USDT in another trading of the owner.
const ELSEWHERE: AccountId = AccountId(Uuid::from_u128(4));
/// Holds 1000 USDT of another user.
const FOREIGN: AccountId = AccountId(Uuid::from_u128(5));
/// An account that is not in the book.
const ABSENT: AccountId = AccountId(Uuid::from_u128(6));

fn number(text: &str) -> Number {
    text.parse().expect(text)
}

fn money(text: &str) -> Money {
    text.parse().expect(text)
}

fn asset(text: &str) -> Asset {
    text.parse().expect(text)
}

fn order(text: &str) -> Option<OrderId> {
    Some(text.parse().expect(text))
}

fn account(
    id: AccountId,
    user: UserId,
    trading: TradingId,
    symbol: &str,
    balance: &str,
) -> Account {
    Account {
        id,
        user,
        trading,
        asset: asset(symbol),
        balance: money(balance),
        locked: Money::ZERO,
        sequence: 0,
        holds: std::collections::BTreeMap::new(),
    }
}

fn book() -> Book {
    let mut book = Book::default();
    book.insert(account(STOCK, OWNER, TRADING, "BTC", "10"));
    book.insert(account(CURRENCY, OWNER, TRADING, "USDT", "1000"));
    book.insert(account(THIRD, OWNER, TRADING, "BNB", "5"));
    book.insert(account(ELSEWHERE, OWNER, OTHER_TRADING, "USDT", "1000"));
    book.insert(account(FOREIGN, OTHER_USER, TRADING, "USDT", "1000"));
    book
}

/// An amount held on an account for an order; an empty `order` is the unnamed hold.
struct OrderHold {
    account: AccountId,
    order: &'static str,
    amount: &'static str,
}

const fn hold(account: AccountId, order: &'static str, amount: &'static str) -> OrderHold {
    OrderHold {
        account,
        order,
        amount,
    }
}

/// Returns the key of a hold without a pair.
fn hold_key(order: Option<OrderId>) -> HoldKey {
    HoldKey { order, pair: None }
}

fn book_with_holds(holds: &[OrderHold]) -> Book {
    let mut book = book();
    for hold in holds {
        let amount = money(hold.amount);
        let mut account = book.get(hold.account).expect("known").clone();
        account.locked = account.locked.checked_add(amount).expect("in range");
        let key = hold_key(hold.order.parse().ok());
        let expires_at = None;
        account.holds.insert(key, Held { amount, expires_at });
        book.insert(account);
    }
    book
}

fn run(book: &Book, command: &Command) -> Result<Effect, Rejected> {
    apply(book, OWNER, TRADING, command, DateTime::UNIX_EPOCH)
}

/// Asserts that a command is rejected.
#[track_caller]
fn rejects(book: &Book, command: &Command, expected: Rejection) {
    let rejection = run(book, command).map_err(|rejected| rejected.rejection);
    assert_eq!(rejection, Err(expected), "{command:?}");
}

/// Applies a command that must succeed.
fn effect(book: &mut Book, command: &Command) -> Effect {
    let effect = run(book, command).expect("applied");
    book.commit(&effect);
    effect
}

/// Formats postings as `direction account amount reason = closing #sequence`.
fn postings(effect: &Effect) -> Vec<String> {
    let line = |posting: &super::Posting| {
        format!(
            "{} {} {} {} = {} #{}",
            posting.direction.as_str(),
            posting.account.0.as_u128(),
            posting.amount,
            posting.reason,
            posting.closing_balance,
            posting.sequence
        )
    };
    effect.postings.iter().map(line).collect()
}

/// Formats drift as `field amount`.
fn drift(effect: &Effect) -> Vec<String> {
    let line = |drift: &super::Drift| format!("{} {}", drift.field, drift.amount);
    effect.drift.iter().map(line).collect()
}

/// Formats the balance and the sum of holds of an account.
fn state(book: &Book, id: AccountId) -> String {
    let account = book.get(id).expect("known");
    format!("{}, {} locked", account.balance, account.locked)
}

/// Returns the hold of an order on the currency account.
fn held(book: &Book, order: Option<OrderId>) -> Money {
    book.get(CURRENCY).expect("known").hold(&hold_key(order))
}

/// Returns a movement of the currency account.
fn movement(direction: Direction, amount: &str) -> Movement {
    Movement {
        account: CURRENCY,
        asset: asset("USDT"),
        direction,
        amount: number(amount),
        order: None,
        pair: None,
        reason: "test".to_owned(),
        belief: Belief::default(),
    }
}

fn credit(amount: &str) -> Command {
    Command::Move(movement(Direction::Credit, amount))
}

fn debit(amount: &str) -> Command {
    Command::Move(movement(Direction::Debit, amount))
}

fn held_amount(amount: &str, order: Option<OrderId>) -> Hold {
    Hold {
        account: CURRENCY,
        asset: asset("USDT"),
        amount: number(amount),
        order,
        pair: None,
    }
}

fn lock(amount: &str, order: Option<OrderId>) -> Command {
    lasting(held_amount(amount, order))
}

/// Returns a lock without an expiry.
fn lasting(hold: Hold) -> Command {
    let expires_at = None;
    Command::Lock(Lock { hold, expires_at })
}

fn unlock(amount: &str, order: Option<OrderId>) -> Command {
    Command::Unlock(held_amount(amount, order))
}

fn fee_of(account: AccountId, amount: &str) -> Fee {
    Fee {
        account,
        amount: number(amount),
        position: None,
    }
}

/// Returns a trade with a fee from the currency account, without an order.
fn trade(side: Side, volume: &str, price: &str, fee: &str) -> Trade {
    Trade {
        side,
        reason: if side == Side::Buy { "long" } else { "short" },
        stock_account: STOCK,
        stock: asset("BTC"),
        currency_account: CURRENCY,
        currency: asset("USDT"),
        volume: number(volume),
        price: number(price),
        quote_amount: None,
        fees: vec![fee_of(CURRENCY, fee)],
        order: None,
        terms: None,
        ends_order: false,
    }
}

fn settle(trade: Trade) -> Result<Effect, Rejected> {
    run(&book(), &Command::Trade(trade))
}

fn settled(trade: Trade) -> Effect {
    settle(trade).expect("applied")
}

fn lines(trade: Trade) -> Vec<String> {
    postings(&settled(trade))
}

#[track_caller]
fn rejects_trade(trade: Trade, expected: Rejection) {
    rejects(&book(), &Command::Trade(trade), expected);
}

/// Returns a trade whose fee is paid by an account.
fn paid_by(payer: AccountId, trade: Trade) -> Trade {
    let fees = trade.fees.into_iter();
    Trade {
        fees: fees
            .map(|fee| Fee {
                account: payer,
                ..fee
            })
            .collect(),
        ..trade
    }
}

/// Returns a step of an order of the pair BTC/USDT, with a limit of 100 for one BTC.
fn step(id: &str, side: Side, step: OrderStep) -> Command {
    Command::Order(OrderEvent {
        account: Some(CURRENCY),
        order: id.parse().expect(id),
        pair: pair(),
        side,
        terms: terms("1"),
        step,
    })
}

fn pair() -> Pair {
    "BTC/USDT".parse().expect("a pair")
}

fn terms(amount: &str) -> OrderTerms {
    OrderTerms {
        kind: "limit".to_owned(),
        amount: number(amount),
        price: Some(number("100")),
    }
}
