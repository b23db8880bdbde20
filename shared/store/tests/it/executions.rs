//! Executions as exchanges report them: amounts of eighteen places, rebates, and fees in several assets.

use crate::world::{World, add_account, credit, outcomes};
use chrono::Utc;
use serde_json::{Value, json};
use tiris_domain::event::BareSubjects;
use tiris_domain::ids::{AccountId, new_id};
use tiris_domain::lane::EventStream;
use tiris_store::ledger::{Batch, Entry, Origin, Work};

/// A world with accounts of its own by symbol.
pub(crate) struct Bot {
    pub(crate) world: World,
    accounts: Vec<(&'static str, AccountId)>,
}

impl Bot {
    /// Creates accounts with these opening balances; `"0"` for none.
    pub(crate) async fn new(openings: &[(&'static str, &str)]) -> Self {
        let world = World::new().await;
        let mut accounts = Vec::new();
        for (symbol, opening) in openings {
            let id = add_account(world.pool(), world.user, world.trading, symbol).await;
            accounts.push((*symbol, id));
            if *opening != "0" {
                let deposit = world.entry(credit(id, symbol, opening));
                assert_eq!(world.outcome(deposit).await, "applied");
            }
        }
        Self { world, accounts }
    }

    pub(crate) fn account(&self, symbol: &str) -> AccountId {
        let mut accounts = self.accounts.iter();
        accounts
            .find(|(known, _)| *known == symbol)
            .expect("known")
            .1
    }

    pub(crate) async fn balance(&self, symbol: &str) -> String {
        self.world.balance(self.account(symbol)).await
    }

    pub(crate) fn event(&self, kind: &str, own: Value) -> Entry {
        let mut event = json!({
            "event_id": new_id(), "event_type": kind, "timestamp": "2024-05-16T12:57:55Z", "user_id": self.world.user.0,
            "trading_id": self.world.trading.0, "source": "tiris-bot", "version": "1.0",
        });
        for (name, value) in own.as_object().expect("an object") {
            event[name] = value.clone();
        }
        let origin = Origin {
            stream: EventStream::Trading,
            stream_seq: 1,
            broker_time: Some(Utc::now()),
        };
        let subject = format!("{kind}.{}", self.world.user.0);
        let payload = event.to_string().into_bytes();

        let work = Work::parse(&subject, &payload, BareSubjects::Refuse, &origin);
        work.entry().unwrap_or_else(|| panic!("{work:?}")).clone()
    }

    /// Returns the event of a fill on a pair such as `SOL/USDT`.
    pub(crate) fn fill(&self, side: &str, pair: &str, figures: Value) -> Entry {
        let (base, quote) = pair.split_once('/').expect("a pair");
        let mut fill = json!({
            "stock_account_id": self.account(base).0, "currency_account_id": self.account(quote).0,
        });
        for (name, value) in figures.as_object().expect("an object") {
            fill[name] = value.clone();
        }
        let own = json!({
            "sub_account_id": self.account(quote).0, "order_id": "order-1", "symbol": pair, "side": side,
            "type": "limit", "amount": figures["volume"], "price": figures["price"], "status": "filled", "fill": fill,
        });
        self.event("trading.orders.filled", own)
    }

    pub(crate) async fn apply(&self, entries: &[Entry]) -> Batch {
        self.world.apply(entries).await
    }

    /// Returns direction, amount, reason and fee of every transaction of an account, in order.
    async fn transactions(&self, symbol: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT concat_ws(' ', direction, trim_scale(amount), reason, 'fee ' || trim_scale(fee)) \
             FROM transactions WHERE sub_account_id = $1 ORDER BY sequence",
        )
        .bind(self.account(symbol).0)
        .fetch_all(self.world.pool())
        .await
        .expect("transactions")
    }

    /// Returns the latest info of the trading's logs.
    pub(crate) async fn info(&self) -> Value {
        sqlx::query_scalar("SELECT info FROM trading_logs ORDER BY timestamp DESC, id DESC LIMIT 1")
            .fetch_one(self.world.pool())
            .await
            .expect("a log")
    }
}

#[tokio::test]
async fn fine_amounts_of_exchanges_are_booked_to_the_last_digit() {
    let bot = Bot::new(&[
        ("PRE", "1000"),
        ("USDT", "100"),
        ("USDC", "1000"),
        ("POINT", "1"),
        ("BNB", "1"),
        ("SOL", "0"),
    ])
    .await;
    let proceeds = json!({"volume": "395.3232", "price": "0.103784", "fee": "0.0410282229888",
                          "quote_amount": "41.0282229888"});
    let cost = json!({"volume": "0.58929", "price": "170.12", "fee": "0.5710371002622"});
    let points = json!({"volume": "1.1", "price": "15.5", "fee": "0.0199999999967544",
                        "fee_account_id": bot.account("POINT").0, "quote_amount": "17.05"});
    let commission = json!({"sub_account_id": bot.account("BNB").0, "symbol": "BNB", "direction": "debit",
                            "amount": "0.041427214681599996", "reason": "fee", "related_order_id": "bn1"});

    let batch = bot
        .apply(&[
            bot.fill("sell", "PRE/USDT", proceeds),
            bot.fill("buy", "SOL/USDC", cost),
            bot.fill("buy", "SOL/USDT", points),
            bot.event("trading.balance.updated", commission),
        ])
        .await;

    assert_eq!(outcomes(&batch), ["applied"; 4]);
    for (symbol, balance) in [
        ("PRE", "604.6768"),
        // 100 + 41.0282229888 - 0.0410282229888 - 17.05
        ("USDT", "123.9371947658112"),
        ("USDC", "899.1789480997378"),
        ("SOL", "1.68929"),
        ("POINT", "0.9800000000032456"),
        ("BNB", "0.958572785318400004"),
    ] {
        assert_eq!(bot.balance(symbol).await, balance, "{symbol}");
    }
    bot.world.assert_verified().await;
}

#[tokio::test]
async fn a_rebate_is_credited_on_its_own() {
    let bot = Bot::new(&[("BTC", "1"), ("USDT", "0")]).await;
    let sale = json!({"volume": "0.00751365", "price": "12777.1", "fee": "-0.00480013"});

    bot.apply(&[bot.fill("sell", "BTC/USDT", sale)]).await;

    assert_eq!(bot.balance("USDT").await, "96.007457545");
    let expected = ["credit 96.002657415 short", "credit 0.00480013 rebate"];
    assert_eq!(bot.transactions("USDT").await, expected);
    bot.world.assert_verified().await;
}

#[tokio::test]
async fn fees_in_several_assets_are_booked_together() {
    let bot = Bot::new(&[("BTC", "0"), ("USDT", "1000"), ("BNB", "1"), ("GT", "1")]).await;
    let fees = json!([
        {"account_id": bot.account("BNB").0, "amount": "0.001"},
        {"account_id": bot.account("GT").0, "amount": "-0.25"},
    ]);
    let bought = json!({"volume": "0.01", "price": "50000", "fee": "0.5", "fees": fees});

    bot.apply(&[bot.fill("buy", "BTC/USDT", bought)]).await;

    let expected = ["credit 1000 test", "debit 500.5 long fee 0.5"];
    assert_eq!(bot.transactions("USDT").await, expected);
    let expected = ["credit 1 test", "debit 0.001 fee fee 0.001"];
    assert_eq!(bot.transactions("BNB").await, expected);
    let expected = ["credit 1 test", "credit 0.25 rebate"];
    assert_eq!(bot.transactions("GT").await, expected);
    bot.world.assert_verified().await;
}

#[tokio::test]
async fn a_fee_beyond_the_proceeds_is_debited() {
    let bot = Bot::new(&[("BTC", "1"), ("USDT", "1")]).await;
    let dust = |fee: &str| json!({"volume": "0.000001", "price": "50000", "fee": fee});

    let batch = bot
        .apply(&[
            bot.fill("sell", "BTC/USDT", dust("1")),
            bot.fill("sell", "BTC/USDT", dust("0.11")),
        ])
        .await;

    assert_eq!(outcomes(&batch), ["applied", "INSUFFICIENT_BALANCE"]);
    assert_eq!(bot.balance("USDT").await, "0.05");
    let expected = ["credit 1 test", "credit 0.05 short", "debit 1 fee fee 1"];
    assert_eq!(bot.transactions("USDT").await, expected);
    bot.world.assert_verified().await;
}

#[tokio::test]
async fn what_rounding_takes_is_drift_beside_the_text_as_sent() {
    let bot = Bot::new(&[("BTC", "0")]).await;
    let sent = "0.3000000000000000444089209850062616169452667236328125";
    let sent = &sent[..40];
    let change = json!({"sub_account_id": bot.account("BTC").0, "symbol": "BTC", "direction": "credit",
                        "amount": sent, "reason": "test"});

    bot.apply(&[bot.event("trading.balance.updated", change)])
        .await;

    assert_eq!(bot.balance("BTC").await, "0.300000000000000044");
    let info = bot.info().await;
    assert_eq!(info["raw"], json!({"amount": sent}));
    let lost = format!("0.000000000000000000{}", &sent[20..]);
    assert_eq!(info["drift"], json!({"amount": lost}));
}

#[tokio::test]
async fn a_deleted_fee_account_is_named_and_stops_no_other_fill() {
    let bot = Bot::new(&[("ETH", "2"), ("USDT", "0"), ("BNB", "0")]).await;
    let payer = bot.account("BNB");
    sqlx::query("UPDATE sub_accounts SET deleted_at = now() WHERE id = $1")
        .bind(payer.0)
        .execute(bot.world.pool())
        .await
        .expect("deleted");
    let of_deleted =
        json!({"volume": "1", "price": "2000", "fee": "0.001", "fee_account_id": payer.0});
    let good = json!({"volume": "0.1", "price": "2000", "fee": "0.2"});

    let batch = bot
        .apply(&[
            bot.fill("sell", "ETH/USDT", of_deleted),
            bot.fill("sell", "ETH/USDT", good),
        ])
        .await;

    let refused = batch.dispositions[0].cause().expect("refused").to_string();
    assert!(refused.contains(&payer.to_string()), "{refused}");
    assert_eq!(outcomes(&batch)[1], "applied");
    assert_eq!(bot.balance("ETH").await, "1.9");
    assert_eq!(bot.balance("USDT").await, "199.8");
}

#[tokio::test]
async fn a_shortage_says_how_much_was_needed_and_available() {
    let bot = Bot::new(&[("BTC", "0"), ("USDT", "3")]).await;
    let beyond = json!({"volume": "1", "price": "10", "fee": "0.5"});

    let batch = bot.apply(&[bot.fill("buy", "BTC/USDT", beyond)]).await;

    let cause = batch.dispositions[0].cause().expect("refused");
    let expected = format!(
        "the available balance is too small: 10.5 USDT needed on sub-account {}, 3 available",
        bot.account("USDT")
    );
    assert_eq!(cause.to_string(), expected);
}
