//! The bot against the contract: what it says is parsed and applied by the shared code, and the books are compared.

use super::book::Purse;
use super::bot::Bot;
use super::candles::Candle;
use super::message::{Message, Writer};
use super::series::Series;
use super::strategy::Crossover;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};
use tiris_domain::event::{self, BareSubjects, Event};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{self, Account, Book};
use tiris_domain::money::Money;
use uuid::Uuid;

const USER: UserId = UserId(Uuid::from_u128(1));
const TRADING: TradingId = TradingId(Uuid::from_u128(2));
const STOCK: AccountId = AccountId(Uuid::from_u128(3));
const CURRENCY: AccountId = AccountId(Uuid::from_u128(4));

fn money(text: &str) -> Money {
    text.parse().expect(text)
}

pub(super) fn candles(seed: u64, count: usize) -> Vec<Candle> {
    let mut series = Series::new(seed);
    let start = DateTime::from_timestamp(1_515_560_100, 0).expect("in range");
    let time =
        |index: usize| start + TimeDelta::minutes(5 * i64::try_from(index).expect("few candles"));
    (0..count)
        .map(|index| Candle {
            time: time(index),
            close: series.next_close(),
        })
        .collect()
}

fn bot_with(writer: Writer, stock: &str, currency: &str) -> Bot {
    let purse = |id: AccountId, symbol: &str, balance: &str| {
        Purse::new(id.0, symbol.into(), money(balance), Money::ZERO, 1)
    };
    let stock = purse(STOCK, "ETH", stock);
    let currency = purse(CURRENCY, "BTC", currency);
    Bot::new(writer, stock, currency, Crossover::new(5, 20)).expect("a valid fee rate")
}

pub(super) fn counted_bot() -> Bot {
    bot_with(Writer::counted(USER.0, TRADING.0), "10", "1")
}

pub(super) fn trade(bot: &mut Bot, candles: &[Candle]) -> Vec<Message> {
    candles
        .iter()
        .flat_map(|candle| bot.on_candle(candle).expect("within range"))
        .collect()
}

fn parse(message: &Message) -> Event {
    event::parse(&message.subject, &message.payload, BareSubjects::Refuse)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&message.payload)))
}

fn account_of(purse: &Purse) -> Account {
    Account {
        id: AccountId(purse.id),
        user: USER,
        trading: TRADING,
        asset: purse.symbol.parse().expect("a symbol"),
        balance: purse.balance,
        locked: purse.locked,
        sequence: purse.postings,
        holds: BTreeMap::new(),
    }
}

fn opening_book(bot: &Bot) -> Book {
    let mut book = Book::default();
    book.insert(account_of(&bot.stock));
    book.insert(account_of(&bot.currency));
    book
}

/// Applies what the bot said and holds the result against what the bot expects.
fn assert_ledger_agrees(mut book: Book, messages: &[Message], bot: &Bot) {
    for event in messages.iter().map(parse) {
        let Some(command) = event.command() else {
            continue;
        };
        let effect = ledger::apply(&book, event.user, event.trading, &command)
            .unwrap_or_else(|rejection| panic!("{rejection}: {event:?}"));
        assert_eq!(effect.drift, [], "{event:?}");
        book.commit(&effect);
    }

    for purse in [&bot.stock, &bot.currency] {
        let account = book.get(AccountId(purse.id)).expect("opened above");
        let symbol = &purse.symbol;
        assert_eq!(account.balance, purse.balance, "{symbol}");
        assert_eq!(account.locked, purse.locked, "{symbol}");
        assert_eq!(account.sequence, purse.postings, "{symbol}");
        assert!(purse.locked >= Money::ZERO, "{symbol}");
        assert!(purse.balance >= purse.locked, "{symbol}");
    }
}

#[test]
fn the_ledger_takes_every_event_and_ends_with_the_balances_the_bot_expects() {
    for seed in 0..3 {
        let mut bot = counted_bot();
        let book = opening_book(&bot);
        let messages = trade(&mut bot, &candles(seed, 5_760));
        assert!(
            bot.orders_placed() > 200,
            "seed {seed}: only {} orders",
            bot.orders_placed()
        );
        assert_ledger_agrees(book, &messages, &bot);
    }
}

#[test]
fn a_run_shows_every_kind_of_event_an_order_can_go_through() {
    let messages = trade(&mut counted_bot(), &candles(1, 5_760));
    let seen: BTreeSet<&str> = messages
        .iter()
        .map(|message| parse(message).log_type())
        .collect();
    let expected = [
        "balance_locked",
        "balance_unlocked",
        "heartbeat",
        "long",
        "order_cancelled",
        "order_created",
        "short",
        "signal",
        "stop_loss",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);

    let signals = messages
        .iter()
        .filter(|message| message.kind == event::Kind::Signal)
        .count();

    assert_eq!(signals, 5_760);
}

#[test]
fn the_same_candles_give_the_same_events_and_more_candles_only_add_to_them() {
    let candles = candles(1, 2_000);
    let messages = trade(&mut counted_bot(), &candles);
    assert_eq!(trade(&mut counted_bot(), &candles), messages);
    let fewer = trade(&mut counted_bot(), &candles[..1_500]);
    assert_eq!(fewer[..], messages[..fewer.len()]);
    for (index, message) in messages.iter().enumerate() {
        assert_eq!(
            parse(message).event_id.as_str(),
            format!("{TRADING}-{}", index + 1)
        );
    }
}

#[test]
fn fresh_ids_never_repeat_and_rise() {
    let candles = candles(1, 500);
    let mut bot = bot_with(Writer::fresh(USER.0, TRADING.0), "10", "1");
    let messages = trade(&mut bot, &candles);
    let ids: Vec<String> = messages
        .iter()
        .map(|message| parse(message).event_id.into_string())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_poor_bot_never_asks_for_more_than_it_has() {
    for (stock, currency) in [
        ("0", "0"),
        ("0.000000000001", "0.000004"),
        ("0.00001", "0"),
        ("0", "0.0001"),
    ] {
        let mut bot = bot_with(Writer::counted(USER.0, TRADING.0), stock, currency);
        let book = opening_book(&bot);
        let messages = trade(&mut bot, &candles(2, 2_000));
        assert_ledger_agrees(book, &messages, &bot);
    }
}

#[test]
fn a_rich_bot_stays_within_the_books() {
    let mut bot = bot_with(
        Writer::counted(USER.0, TRADING.0),
        "9000000000000000",
        "4000000000000000",
    );
    let book = opening_book(&bot);
    let messages = trade(&mut bot, &candles(3, 2_000));
    assert_ledger_agrees(book, &messages, &bot);
}

#[test]
fn when_it_stops_it_cancels_its_open_order_so_that_nothing_stays_held() {
    let candles = candles(1, 5_760);
    let mut bot = counted_bot();
    let book = opening_book(&bot);
    let mut messages = Vec::new();
    for candle in &candles {
        messages.extend(bot.on_candle(candle).expect("within range"));
        if bot.stock.locked.is_positive() || bot.currency.locked.is_positive() {
            break;
        }
    }

    let cancel = bot.cancel_unfilled(Utc::now());
    assert_eq!(cancel.len(), 1);
    messages.extend(cancel);
    assert_eq!(bot.stock.locked, Money::ZERO);
    assert_eq!(bot.currency.locked, Money::ZERO);

    assert_ledger_agrees(book, &messages, &bot);
}
