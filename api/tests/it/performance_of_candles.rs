//! A bot trades a candle file through NATS, ingest and the API. Every figure of its performance must match the textbook
//! definitions, applied to the transactions.

#![expect(clippy::float_arithmetic, reason = "figures to compare with")]

mod fraction;
mod textbook;

use crate::performance_of_candles::fraction::Fraction;
use crate::performance_of_candles::textbook::{Point, Row, Textbook, zero};
use crate::world::{User, World, text};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;
use tiris_domain::money::Number;
use tiris_testing::{NatsServer, Process, Role, binary};

/// Time limit of the bot for a file of weeks.
const LIMIT: Duration = Duration::from_secs(240);
/// Candles of the bot's built-in series, used without a file.
const CANDLES: &str = "600";

fn number(value: &Value) -> Option<Number> {
    value.as_str().map(|text| text.parse().expect("a number"))
}

fn time(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().map(|text| text.parse().expect("a time"))
}

/// Returns a transaction as the API shows it.
fn row(shown: &Value, stock: &str) -> Row {
    let is_stock = shown["sub_account_id"] == stock;
    Row {
        time: time(&shown["event_time"]).expect("a time"),
        symbol: if is_stock { "ETH" } else { "BTC" },
        is_credit: shown["direction"] == "credit",
        amount: number(&shown["amount"]).expect("an amount"),
        is_leg: !shown["price"].is_null(),
        fee: number(&shown["fee"]).unwrap_or_else(zero),
        trade: match &shown["order_id"] {
            Value::Null => text(&shown["trading_log_id"]),
            order => text(order),
        },
    }
}

/// Returns all transactions of the user's only trading, by event time.
async fn transactions(user: &User<'_>, stock: &str) -> Vec<Row> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/transactions?limit=1000{cursor}");
        let page = user.get(&path).await;
        found.extend(page.list("transactions").clone());
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }

    found.sort_by_key(|row| {
        let times = (time(&row["event_time"]), time(&row["timestamp"]));
        (times, text(&row["id"]))
    });
    found.iter().map(|shown| row(shown, stock)).collect()
}

/// Asserts that a response has approximately this ratio, or null.
#[track_caller]
fn assert_ratio(found: &Value, name: &str, expected: Option<f64>) {
    let expected = expected.filter(|expected| expected.is_finite());
    let (Some(expected), false) = (expected, found[name].is_null()) else {
        assert_eq!(expected, None, "{name}");
        assert_eq!(found[name], Value::Null, "{name}");
        return;
    };
    let shown: f64 = found[name].to_string().parse().expect("a number");

    assert!(
        (shown - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{name}: {shown}, by the textbook {expected}"
    );
}

#[track_caller]
fn assert_money(found: &Value, name: &str, expected: &Fraction) {
    let reported = number(&found[name]).expect("an amount");
    assert!(
        expected.rounds_to(&reported),
        "{name}: {reported}, by the textbook {expected:?}"
    );
}

/// Runs the demo bot, and waits until all trades are booked.
async fn trade(world: &World, user: &User<'_>) {
    let nats = NatsServer::private().await.expect("NATS");
    let url = world.database.url_as(Role::Ingest).expect("an address");
    let ingest = Process::command(binary("tiris-ingest").expect("built"))
        .arg("run")
        .env("DATABASE_URL", url)
        .env("NATS_URL", nats.url())
        .env("TIRIS_ADMIN_LISTEN", "127.0.0.1:0")
        .env("TIRIS_LANES", "4")
        .spawn()
        .expect("ingest");
    let mut demo = Process::command(binary("tiris-demo").expect("built"));
    demo = demo.args(["--burst", "--verify"]);
    demo = match std::env::var("TIRIS_CANDLES") {
        Ok(candles) => demo.args(["--symbol", "ETH/BTC", "--candles", candles.as_str()]),
        Err(_) => demo.args(["--limit", CANDLES]),
    };
    let demo = demo.env("API_URL", format!("http://{}", world.address));
    let mut demo = demo
        .env("TOKEN", &user.token)
        .env("NATS_URL", nats.url())
        .spawn()
        .expect("a bot");
    let status = demo.wait(LIMIT).await.expect("it ends");

    assert!(status.success(), "{}", demo.log_tail());

    drop(ingest);
}

/// Asserts the sums of money.
fn assert_books(found: &Value, textbook: &Textbook) -> Fraction {
    let books = &textbook.books;
    let closing = books.value();
    assert_eq!(found["quote"], "BTC", "{found}");
    assert_eq!(found["unpriced"], json!([]), "{found}");
    assert_eq!(found["overdrawn"], json!([]), "{found}");
    assert_money(found, "opening_value", &zero().into());
    assert_money(found, "closing_value", &closing);
    assert_money(found, "net_flows", &books.flows);
    assert_money(found, "profit", &closing.minus(&books.flows));
    assert_money(found, "fees", &books.fees.clone().into());
    assert_money(found, "turnover", &books.turnover.clone().into());
    assert_eq!(found["trades"], books.trades);
    closing
}

/// Asserts the time range and the total return.
fn assert_total_return(found: &Value, textbook: &Textbook) {
    let first = textbook.curve[0];
    let last = textbook.curve[textbook.curve.len() - 1];
    let total = last.unit - 1.0;
    let days = (last.time - first.time).as_seconds_f64() / 86_400.0;
    let cagr = (1.0 + total).powf(365.25 / days) - 1.0;
    assert_eq!(time(&found["from"]), Some(first.time));
    assert_eq!(time(&found["to"]), Some(last.time));
    assert_ratio(found, "time_weighted_return", Some(total));
    assert_ratio(found, "cagr", (days >= 7.0).then_some(cagr));
}

/// Asserts the ratios of daily returns.
fn assert_daily_ratios(found: &Value, textbook: &Textbook) {
    let returns = textbook.daily_returns();
    let count = f64::from(u32::try_from(returns.len()).expect("few days"));
    let mean = returns.iter().sum::<f64>() / count;
    let square = |deviation: f64| deviation * deviation;
    let squares: f64 = returns.iter().map(|r| square(r - mean)).sum();
    let volatility = (squares / (count - 1.0)).sqrt();
    let losses: f64 = returns.iter().map(|r| square(r.min(0.0))).sum();
    let downside = (losses / count).sqrt();
    let year = 365.0_f64.sqrt();

    let several = |ratio: f64| (returns.len() > 1).then_some(ratio);
    assert_ratio(found, "volatility", several(volatility * year));
    assert_ratio(found, "sharpe_ratio", several(mean / volatility * year));
    assert_ratio(found, "sortino_ratio", several(mean / downside * year));
}

fn assert_drawdown(found: &Value, textbook: &Textbook) {
    let shown = &found["max_drawdown"];
    let fall = textbook.deepest_fall();
    assert_ratio(shown, "depth", Some(fall.depth));
    assert_eq!(time(&shown["peak"]), Some(fall.peak));
    assert_eq!(time(&shown["trough"]), Some(fall.trough));
    assert_eq!(time(&shown["recovery"]), fall.recovery);
}

fn assert_gains(found: &Value, textbook: &Textbook) {
    let gains = &textbook.gains;
    let wins: Vec<f64> = gains.iter().copied().filter(|gain| *gain > 0.0).collect();
    let won: f64 = wins.iter().sum();
    let lost = won - gains.iter().sum::<f64>();
    assert_eq!(found["closing_trades"], gains.len());
    let win_rate = wins.len() as f64 / gains.len() as f64;
    assert_ratio(found, "win_rate", Some(win_rate));
    assert_ratio(found, "profit_factor", Some(won / lost));
    for (name, expected) in [("gross_profit", won), ("gross_loss", lost)] {
        let shown: f64 = text(&found[name]).parse().expect("a number");
        assert!(
            (shown - expected).abs() < 1e-9,
            "{name}: {shown}, by the textbook {expected}"
        );
    }
}

fn assert_curve(points: &[Value], textbook: &Textbook, closing: &Fraction) {
    let last = points.last().expect("a point");
    assert_money(last, "value", closing);
    let unit = textbook.curve[textbook.curve.len() - 1].unit;
    assert_ratio(last, "unit_value", Some(unit));
    for point in points {
        let day = time(&point["time"]).expect("a time").date_naive();
        let is_traded = |point: &&Point| point.time.date_naive() == day;
        let of_day = textbook.curve.iter().rev().find(is_traded);
        let unit = of_day.expect("something happened").unit;
        assert_ratio(point, "unit_value", Some(unit));
    }
}

#[tokio::test]
async fn the_figures_of_a_bot_match_the_textbook() {
    let world = World::start().await;
    let user = world.user("ann").await;
    trade(&world, &user).await;
    let accounts = user.get("/v1/sub-accounts").await;
    let mut accounts = accounts.list("sub_accounts").iter();
    let stock = accounts.find(|account| account["symbol"] == "ETH");
    let stock = stock.expect("an account of ETH");
    let trading = format!("/v1/tradings/{}", text(&stock["trading_id"]));
    let textbook = Textbook::of(&transactions(&user, &text(&stock["id"])).await);
    assert!(textbook.books.trades > 20, "{:?}", textbook.books);

    let performance = user.get(&format!("{trading}/performance")).await;
    let equity = user.get(&format!("{trading}/equity")).await;

    let found = performance.data();
    let closing = assert_books(found, &textbook);
    assert_total_return(found, &textbook);
    assert_daily_ratios(found, &textbook);
    assert_drawdown(found, &textbook);
    assert_gains(found, &textbook);
    assert_curve(equity.list("points"), &textbook, &closing);
}
