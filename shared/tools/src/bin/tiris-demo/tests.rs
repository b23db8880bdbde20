//! The bot against the contract: the shared code parses and applies its events, and the balances are compared.

use crate::account::Account;
use crate::bot::Bot;
use crate::candles::Candle;
use crate::message::{Message, Writer};
use crate::series::Series;
use crate::strategy::Crossover;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{self, Book};
use tiris_domain::money::Money;
use uuid::Uuid;

const USER: UserId = UserId(Uuid::from_u128(1));
const TRADING: TradingId = TradingId(Uuid::from_u128(2));

pub(crate) fn candles(seed: u64, count: usize) -> Vec<Candle> {
    let start = DateTime::from_timestamp(1_515_560_100, 0).expect("in range");
    let times = (0..).map(|index| start + TimeDelta::minutes(5 * index));
    let candles = times.zip(Series::new(seed));
    candles
        .map(|(time, close)| Candle { time, close })
        .take(count)
        .collect()
}

fn bot_with(repeatable: bool, stock: &str, currency: &str) -> Bot {
    let account = |id: u128, symbol: &str, balance: &str| Account {
        id: Uuid::from_u128(id),
        symbol: symbol.into(),
        balance: balance.parse().expect(balance),
        sequence: 1,
        ..Account::default()
    };
    let writer = Writer::new(USER.0, TRADING.0, repeatable);
    let stock = account(3, "ETH", stock);
    let currency = account(4, "BTC", currency);
    Bot::new(writer, stock, currency, Crossover::new(5, 20)).expect("a valid fee rate")
}

pub(crate) fn repeatable_bot() -> Bot {
    bot_with(true, "10", "1")
}

pub(crate) fn trade(bot: &mut Bot, candles: &[Candle]) -> Vec<Message> {
    candles
        .iter()
        .flat_map(|candle| bot.on_candle(candle).expect("within range"))
        .collect()
}

fn parse(message: &Message) -> Event {
    event::parse(&message.subject, &message.payload, BareSubjects::Refuse)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&message.payload)))
}

fn opening_book(bot: &Bot) -> Book {
    let mut book = Book::default();
    for account in [&bot.stock, &bot.currency] {
        book.insert(ledger::Account {
            id: AccountId(account.id),
            user: USER,
            trading: TRADING,
            asset: account.symbol.parse().expect("a symbol"),
            balance: account.balance,
            locked: account.locked,
            sequence: account.sequence,
            holds: BTreeMap::new(),
        });
    }
    book
}

/// Applies the events and compares the result with the accounts the bot expects.
fn assert_ledger_agrees(mut book: Book, messages: &[Message], bot: &Bot) {
    for event in messages.iter().map(parse) {
        let Some(command) = event.command() else {
            continue;
        };
        let effect = ledger::apply(&book, event.user, event.trading, &command, event.timestamp)
            .unwrap_or_else(|rejection| panic!("{rejection}: {event:?}"));
        assert_eq!(effect.drift, [], "{event:?}");
        book.commit(&effect);
    }

    for expected in [&bot.stock, &bot.currency] {
        let account = book.get(AccountId(expected.id)).expect("opened above");
        let symbol = &expected.symbol;
        assert_eq!(account.balance, expected.balance, "{symbol}");
        assert_eq!(account.locked, expected.locked, "{symbol}");
        assert_eq!(account.sequence, expected.sequence, "{symbol}");
        assert!(expected.locked >= Money::ZERO, "{symbol}");
        assert!(expected.balance >= expected.locked, "{symbol}");
    }
}

/// Trades `candles` and checks every event by the ledger.
fn assert_bot_agrees(bot: &mut Bot, candles: &[Candle]) {
    let book = opening_book(bot);
    let messages = trade(bot, candles);
    assert_ledger_agrees(book, &messages, bot);
}

#[test]
fn the_ledger_accepts_every_event_and_reaches_the_expected_balances() {
    for seed in 0..3 {
        let mut bot = repeatable_bot();
        assert_bot_agrees(&mut bot, &candles(seed, 5_760));
        assert!(bot.orders > 200, "seed {seed}: only {} orders", bot.orders);
    }
}

#[test]
fn a_run_has_every_kind_of_event_of_an_order() {
    let messages = trade(&mut repeatable_bot(), &candles(1, 5_760));
    let types = messages.iter().map(|message| parse(message).log_type());
    let types: Vec<&str> = types.collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(
        types.join(" "),
        "balance_locked balance_unlocked heartbeat long order_cancelled order_created short signal stop_loss"
    );

    let is_signal = |message: &&Message| message.kind == event::Kind::Signal;
    assert_eq!(messages.iter().filter(is_signal).count(), 5_760);
}

#[test]
fn the_same_candles_give_the_same_events() {
    let candles = candles(1, 2_000);
    let messages = trade(&mut repeatable_bot(), &candles);
    assert_eq!(trade(&mut repeatable_bot(), &candles), messages);

    let fewer = trade(&mut repeatable_bot(), &candles[..1_500]);
    assert_eq!(fewer[..], messages[..fewer.len()]);

    for (index, message) in messages.iter().enumerate() {
        let id = format!("{TRADING}-{}", index + 1);
        assert_eq!(parse(message).event_id.as_str(), id);
    }
}

#[test]
fn new_ids_rise_and_never_repeat() {
    let messages = trade(&mut bot_with(false, "10", "1"), &candles(1, 500));
    let ids = messages
        .iter()
        .map(|message| parse(message).event_id.into_string());
    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_poor_bot_never_spends_more_than_it_has() {
    for (stock, currency) in [
        ("0", "0"),
        ("0.000000000001", "0.000004"),
        ("0.00001", "0"),
        ("0", "0.0001"),
    ] {
        assert_bot_agrees(&mut bot_with(true, stock, currency), &candles(2, 2_000));
    }
}

#[test]
fn a_rich_bot_stays_within_the_books() {
    let mut bot = bot_with(true, "9000000000000000", "4000000000000000");
    assert_bot_agrees(&mut bot, &candles(3, 2_000));
}

#[test]
fn cancelling_the_open_order_releases_every_hold() {
    let mut bot = repeatable_bot();
    let book = opening_book(&bot);
    let mut messages = Vec::new();
    for candle in candles(1, 5_760) {
        messages.extend(bot.on_candle(&candle).expect("within range"));
        if bot.stock.locked.is_positive() || bot.currency.locked.is_positive() {
            break;
        }
    }

    let cancel = bot.cancel_unfilled(Utc::now());

    assert_eq!(cancel.len(), 1);
    assert_eq!(bot.stock.locked, Money::ZERO);
    assert_eq!(bot.currency.locked, Money::ZERO);
    messages.extend(cancel);
    assert_ledger_agrees(book, &messages, &bot);
}
