//! A bot trades a candle file through NATS, ingest and the API, and every figure of its performance is what the textbook
//! says: computed here from the transactions, in plain loops, by the definitions.

#![expect(clippy::float_arithmetic, reason = "figures to compare with")]

use crate::world::{User, World, text};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use std::time::Duration;
use tiris_domain::money::Number;
use tiris_testing::{NatsServer, Process, binary};

/// How long the bot may take for a file of weeks.
const LIMIT: Duration = Duration::from_secs(240);
/// Candles of the bot's own series, when there is no file.
const CANDLES: &str = "600";

/// A transaction.
struct Row {
    time: DateTime<Utc>,
    symbol: &'static str,
    is_credit: bool,
    amount: Number,
    price: Option<Number>,
    fee: Number,
    log: String,
}

fn number(value: &Value) -> Option<Number> {
    value.as_str().map(|text| text.parse().expect("a number"))
}

fn zero() -> Number {
    "0".parse().expect("a number")
}

fn float(number: &Number) -> f64 {
    number.to_string().parse().expect("a float")
}

/// All transactions of the user's only trading, in the order in which they happened.
async fn transactions(user: &User<'_>, stock: &str) -> Vec<Row> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = user
            .get(&format!("/v1/transactions?limit=1000{cursor}"))
            .await;
        for row in page.data()["transactions"].as_array().expect("a list") {
            let time: DateTime<Utc> = text(&row["event_time"]).parse().expect("a time");
            let booked: DateTime<Utc> = text(&row["timestamp"]).parse().expect("a time");
            let key = (time, booked, text(&row["id"]));
            found.push((
                key,
                Row {
                    time,
                    symbol: if row["sub_account_id"] == stock {
                        "ETH"
                    } else {
                        "BTC"
                    },
                    is_credit: row["direction"] == "credit",
                    amount: number(&row["amount"]).expect("an amount"),
                    price: number(&row["price"]),
                    fee: number(&row["fee"]).unwrap_or_else(zero),
                    log: text(&row["trading_log_id"]),
                },
            ));
        }
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found.into_iter().map(|(_, row)| row).collect()
}

/// What the books say, summed up exactly.
#[derive(Debug)]
struct Books {
    btc: Number,
    eth: Number,
    price: Option<Number>,
    flows: Number,
    fees: Number,
    turnover: Number,
    trades: u64,
}

/// The curve of one unit after each moment, and gains of sales.
struct Textbook {
    books: Books,
    curve: Vec<(DateTime<Utc>, f64)>,
    gains: Vec<f64>,
}

/// Goes through the transactions once. Sub-periods end at flows: the two deposits, of which that of ETH has a value only
/// from the first trade on.
fn textbook(rows: &[Row]) -> Textbook {
    let mut books = Books {
        btc: zero(),
        eth: zero(),
        price: None,
        flows: zero(),
        fees: zero(),
        turnover: zero(),
        trades: 0,
    };
    let (mut growth, mut base) = (1.0_f64, 0.0_f64);
    let (mut held, mut cost) = (0.0_f64, 0.0_f64);
    let mut curve: Vec<(DateTime<Utc>, f64)> = Vec::new();
    let mut gains = Vec::new();
    let mut at = 0;
    while at < rows.len() {
        let legs: Vec<&Row> = rows[at..]
            .iter()
            .take_while(|row| row.log == rows[at].log)
            .collect();
        at += legs.len();
        let time = legs[0].time;
        let value = |books: &Books| {
            let eth = books
                .price
                .as_ref()
                .map_or_else(zero, |price| books.eth.times(price));
            float(&books.btc.plus(&eth))
        };
        let flow = |before: f64, amount: f64, growth: &mut f64, base: &mut f64| {
            if *base > 0.0 {
                *growth *= before / *base;
            }
            *base = before + amount;
        };
        if let Some(price) = &legs[0].price {
            books.trades += 1;
            if books.price.is_none() {
                let entering = books.eth.times(price);
                flow(value(&books), float(&entering), &mut growth, &mut base);
                books.flows = books.flows.plus(&entering);
                (held, cost) = (float(&books.eth), float(&entering));
            }
            books.price = Some(price.clone());
            let leg = |symbol: &str| {
                legs.iter()
                    .find(|leg| leg.symbol == symbol)
                    .expect("both legs")
            };
            let (stock, currency) = (leg("ETH"), leg("BTC"));
            books.fees = books.fees.plus(&currency.fee);
            if stock.is_credit {
                books.eth = books.eth.plus(&stock.amount);
                books.btc = books.btc.minus(&currency.amount);
                books.turnover = books.turnover.plus(&currency.amount.minus(&currency.fee));
                (held, cost) = (held + float(&stock.amount), cost + float(&currency.amount));
            } else {
                books.eth = books.eth.minus(&stock.amount);
                books.btc = books.btc.plus(&currency.amount);
                books.turnover = books.turnover.plus(&currency.amount.plus(&currency.fee));
                let average = cost / held;
                gains.push(float(&currency.amount) - average * float(&stock.amount));
                held -= float(&stock.amount);
                cost = average * held;
            }
        } else if legs[0].symbol == "ETH" {
            books.eth = books.eth.plus(&legs[0].amount);
        } else {
            flow(
                value(&books),
                float(&legs[0].amount),
                &mut growth,
                &mut base,
            );
            books.flows = books.flows.plus(&legs[0].amount);
            books.btc = books.btc.plus(&legs[0].amount);
        }
        let unit = if base > 0.0 {
            growth * value(&books) / base
        } else {
            growth
        };
        if curve.last().is_some_and(|(last, _)| *last == time) {
            curve.pop();
        }
        curve.push((time, unit));
    }
    Textbook {
        books,
        curve,
        gains,
    }
}

/// Returns of all UTC days from the first to the last.
fn daily_returns(curve: &[(DateTime<Utc>, f64)]) -> Vec<f64> {
    let date = |point: &(DateTime<Utc>, f64)| point.0.date_naive();
    let (mut day, last) = (date(&curve[0]), date(&curve[curve.len() - 1]));
    let mut returns = Vec::new();
    let mut before = 1.0;
    while day <= last {
        let until = |end: NaiveDate| {
            curve
                .iter()
                .rev()
                .find(|point| date(point) <= end)
                .map_or(1.0, |point| point.1)
        };
        let after = until(day);
        returns.push(after / before - 1.0);
        before = after;
        day = day.succ_opt().expect("a day");
    }
    returns
}

/// Depth, peak, trough and recovery of the deepest fall, by comparing every point with all before it.
fn deepest_fall(
    curve: &[(DateTime<Utc>, f64)],
) -> (f64, DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>) {
    let mut deepest = (0.0, curve[0].0, curve[0].0, None);
    let mut peak = (curve[0].0, 1.0);
    for (index, (time, unit)) in curve.iter().enumerate() {
        if *unit > peak.1 {
            peak = (*time, *unit);
        }
        let depth = 1.0 - unit / peak.1;
        if depth > deepest.0 {
            let recovery = curve[index..]
                .iter()
                .find(|(_, later)| *later >= peak.1)
                .map(|(time, _)| *time);
            deepest = (depth, peak.0, *time, recovery);
        }
    }
    deepest
}

/// That an answer has a ratio, but for the last digits, or null.
#[track_caller]
fn assert_ratio(found: &Value, name: &str, expected: Option<f64>) {
    let expected = expected.filter(|expected| expected.is_finite());
    let (Some(expected), false) = (expected, found[name].is_null()) else {
        assert_eq!((expected, &found[name]), (None, &Value::Null), "{name}");
        return;
    };
    let told: f64 = found[name].to_string().parse().expect("a number");
    assert!(
        (told - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{name}: {told}, by the book {expected}"
    );
}

#[track_caller]
fn assert_money(found: &Value, name: &str, expected: &Number) {
    assert_eq!(text(&found[name]), expected.rounded().to_string(), "{name}");
}

/// Lets the demo bot trade, and waits until all of it is booked.
async fn trade(world: &World, user: &User<'_>) {
    let nats = NatsServer::private().await.expect("NATS");
    let ingest = Process::command(binary("tiris-ingest").expect("built"))
        .arg("run")
        .env("DATABASE_URL", world.database.url())
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

#[tokio::test]
async fn the_figures_of_a_bot_that_trades_candles_are_those_of_the_textbook() {
    let world = World::start().await;
    let user = world.user("ann").await;
    trade(&world, &user).await;
    let accounts = user.get("/v1/sub-accounts").await;
    let accounts = accounts.data()["sub_accounts"].as_array().expect("a list");
    let stock = accounts
        .iter()
        .find(|account| account["symbol"] == "ETH")
        .expect("an account of ETH");
    let rows = transactions(&user, &text(&stock["id"])).await;
    let Textbook {
        books,
        curve,
        gains,
    } = textbook(&rows);
    assert!(books.trades > 20, "{books:?}");

    let asked = user
        .get(&format!(
            "/v1/tradings/{}/performance",
            text(&stock["trading_id"])
        ))
        .await;
    let found = asked.data();
    assert_eq!(
        (&found["quote"], &found["unpriced"]),
        (&Value::from("BTC"), &Value::Array(vec![])),
        "{found}"
    );
    assert_eq!(found["overdrawn"], Value::Array(vec![]));
    let price = books.price.as_ref().expect("trades");
    let closing = books.btc.plus(&books.eth.times(price));
    assert_money(found, "opening_value", &zero());
    assert_money(found, "closing_value", &closing);
    assert_money(found, "net_flows", &books.flows);
    assert_money(found, "profit", &closing.minus(&books.flows));
    assert_money(found, "fees", &books.fees);
    assert_money(found, "turnover", &books.turnover);
    assert_eq!(found["trades"], books.trades);

    let (start, end) = (curve[0].0, curve[curve.len() - 1].0);
    assert_eq!(
        [text(&found["from"]), text(&found["to"])].map(|time| time.parse().ok()),
        [Some(start), Some(end)]
    );
    let total = curve[curve.len() - 1].1 - 1.0;
    assert_ratio(found, "time_weighted_return", Some(total));
    let days = (end - start).as_seconds_f64() / 86_400.0;
    assert_ratio(
        found,
        "cagr",
        (days >= 7.0).then(|| (1.0 + total).powf(365.25 / days) - 1.0),
    );

    let returns = daily_returns(&curve);
    let count = f64::from(u32::try_from(returns.len()).expect("few days"));
    let mean = returns.iter().sum::<f64>() / count;
    let variance = returns.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (count - 1.0);
    let downside = (returns.iter().map(|r| r.min(0.0) * r.min(0.0)).sum::<f64>() / count).sqrt();
    let several = returns.len() > 1;
    let year = 365.0_f64.sqrt();
    assert_ratio(found, "volatility", several.then(|| variance.sqrt() * year));
    assert_ratio(
        found,
        "sharpe_ratio",
        several.then(|| mean / variance.sqrt() * year),
    );
    assert_ratio(
        found,
        "sortino_ratio",
        several.then(|| mean / downside * year),
    );

    let (depth, peak, trough, recovery) = deepest_fall(&curve);
    let fall = &found["max_drawdown"];
    assert_ratio(fall, "depth", Some(depth));
    let time = |name: &str| {
        fall[name]
            .as_str()
            .and_then(|time| time.parse::<DateTime<Utc>>().ok())
    };
    assert_eq!(
        (time("peak"), time("trough"), time("recovery")),
        (Some(peak), Some(trough), recovery)
    );

    let wins: Vec<f64> = gains.iter().copied().filter(|gain| *gain > 0.0).collect();
    let won: f64 = wins.iter().sum();
    let lost = won - gains.iter().sum::<f64>();
    assert_eq!(found["closing_trades"], gains.len());
    let share = |part: usize, whole: usize| Some(part as f64 / whole as f64);
    assert_ratio(found, "win_rate", share(wins.len(), gains.len()));
    assert_ratio(found, "profit_factor", Some(won / lost));
    for (name, expected) in [("gross_profit", won), ("gross_loss", lost)] {
        let told: f64 = text(&found[name]).parse().expect("a number");
        assert!(
            (told - expected).abs() < 1e-9,
            "{name}: {told}, by the book {expected}"
        );
    }

    let equity = user
        .get(&format!(
            "/v1/tradings/{}/equity",
            text(&stock["trading_id"])
        ))
        .await;
    let points = equity.data()["points"].as_array().expect("a list");
    let last = points.last().expect("a point");
    assert_money(last, "value", &closing);
    assert_ratio(last, "unit_value", Some(1.0 + total));
    for point in points {
        let day = text(&point["time"])
            .parse::<DateTime<Utc>>()
            .expect("a time")
            .date_naive();
        let of_day = curve
            .iter()
            .rev()
            .find(|(time, _)| time.date_naive() == day)
            .expect("something happened");
        assert_ratio(point, "unit_value", Some(of_day.1));
    }
}
