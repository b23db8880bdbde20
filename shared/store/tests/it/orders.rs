//! Orders in the database: their rows, what they hold, and the drift of their events.

use crate::executions::Bot;
use crate::world::outcomes;
use serde_json::{Value, json};
use tiris_store::ledger::Entry;

const ORDERS: &str = "SELECT coalesce(string_agg(concat_ws(' ', nullif(symbol, ''), order_id, side, type, \
     trim_scale(amount), trim_scale(filled), trim_scale(quote_filled), fills, fees, status), '; ' ORDER BY symbol), 'none') \
     FROM orders";

const LOCKED: &str = "SELECT coalesce(string_agg(symbol || ' ' || trim_scale(locked), ', ' ORDER BY symbol), 'none') \
     FROM sub_accounts WHERE locked > 0";

const DRIFT: &str = "SELECT coalesce(string_agg(array_to_string(drift, ' '), '; ' ORDER BY timestamp, id), 'none') \
     FROM trading_logs WHERE drift IS NOT NULL";

impl Bot {
    async fn value(&self, sql: &'static str) -> String {
        sqlx::query_scalar(sql)
            .fetch_one(self.world.pool())
            .await
            .expect(sql)
    }

    /// Returns a lock or unlock, with these further fields.
    fn hold(&self, kind: &str, symbol: &str, amount: &str, order: &str, more: Value) -> Entry {
        let mut own = json!({
            "sub_account_id": self.account(symbol).0, "symbol": symbol, "amount": amount, "related_order_id": order,
        });
        for (name, value) in more.as_object().expect("an object") {
            own[name] = value.clone();
        }
        self.event(&format!("trading.balance.{kind}"), own)
    }

    fn step(&self, kind: &str, symbol: &str, order: &str, pair: &str) -> Entry {
        let own = json!({
            "sub_account_id": self.account(symbol).0, "order_id": order, "symbol": pair, "side": "buy",
            "type": "limit", "amount": "0.1", "price": "2424", "status": kind,
        });
        self.event(&format!("trading.orders.{kind}"), own)
    }

    /// Applies events one by one; all must be accepted.
    async fn applied(&self, entries: &[Entry]) {
        for entry in entries {
            let batch = self.apply(std::slice::from_ref(entry)).await;
            assert_eq!(outcomes(&batch), ["applied"]);
        }
        self.world.assert_verified().await;
    }
}

#[tokio::test]
async fn one_order_id_on_two_pairs_is_two_orders() {
    let bot = Bot::new(&[("USDT", "1000")]).await;

    bot.applied(&[
        bot.hold(
            "locked",
            "USDT",
            "300",
            "512726567",
            json!({"order_symbol": "BTC/USDT"}),
        ),
        bot.hold(
            "locked",
            "USDT",
            "500",
            "512726567",
            json!({"order_symbol": "ETH/USDT"}),
        ),
        bot.step("cancelled", "USDT", "512726567", "BTC/USDT"),
    ])
    .await;

    assert_eq!(bot.value(LOCKED).await, "USDT 500");
    let orders = bot.value(ORDERS).await;
    assert_eq!(
        orders,
        "BTC/USDT 512726567 buy limit 0.1 0 0 0 {} cancelled; ETH/USDT 512726567 0 0 0 {} unknown"
    );
}

#[tokio::test]
async fn a_lock_after_its_fill_holds_nothing() {
    let bot = Bot::new(&[("USDT", "1000"), ("BTC", "0")]).await;
    let fill = bot.fill(
        "buy",
        "BTC/USDT",
        json!({"volume": "0.001", "price": "50000", "fee": "0.05"}),
    );

    bot.applied(&[
        fill,
        bot.hold("locked", "USDT", "49.95", "order-1", json!({})),
    ])
    .await;

    assert_eq!(bot.balance("USDT").await, "949.95");
    assert_eq!(bot.value(LOCKED).await, "none");
    assert_eq!(bot.value(DRIFT).await, "order_ended");
    let orders = bot.value(ORDERS).await;
    assert_eq!(
        orders,
        "BTC/USDT order-1 buy limit 0.001 0.001 50 1 {\"USDT\": \"0.05\"} filled"
    );
}

#[tokio::test]
async fn an_order_filled_at_a_better_price_releases_the_rest() {
    let bot = Bot::new(&[("FAU", "300"), ("PDEX", "0")]).await;
    let fill = |volume: &str, price: &str| {
        bot.fill(
            "buy",
            "PDEX/FAU",
            json!({"volume": volume, "price": price, "fee": "0"}),
        )
    };

    bot.applied(&[
        bot.hold("locked", "FAU", "55", "order-1", json!({})),
        fill("0.8072303", "30"),
        fill("0.1927697", "55"),
    ])
    .await;

    assert_eq!(bot.balance("FAU").await, "265.1807575");
    assert_eq!(bot.value(LOCKED).await, "none");
    let orders = bot.value(ORDERS).await;
    assert_eq!(
        orders,
        "PDEX/FAU order-1 buy limit 0.8072303 1 34.8192425 2 {} filled"
    );
}

#[tokio::test]
async fn a_cancelled_order_releases_its_holds_on_any_account() {
    let bot = Bot::new(&[("EUR", "1000"), ("BTC", "1")]).await;

    bot.applied(&[
        bot.hold("locked", "EUR", "242.4", "s1", json!({})),
        bot.step("cancelled", "BTC", "s1", "BTC/EUR"),
    ])
    .await;

    assert_eq!(bot.value(LOCKED).await, "none");
    assert_eq!(bot.value(DRIFT).await, "none");
}

#[tokio::test]
async fn a_batch_ends_like_its_events_one_by_one() {
    let openings = [("USDT", "1000"), ("BTC", "1")];
    let one_by_one = Bot::new(&openings).await;
    let at_once = Bot::new(&openings).await;
    let events = |bot: &Bot| {
        let fill = |volume: &str| {
            let figures = json!({"volume": volume, "price": "2424", "fee": "0.1"});
            bot.fill("buy", "BTC/USDT", figures)
        };
        vec![
            bot.hold("locked", "USDT", "242.4", "order-1", json!({})),
            bot.step("created", "USDT", "order-1", "BTC/USDT"),
            fill("0.05"),
            bot.hold("locked", "USDT", "1", "order-1", json!({})),
            bot.hold("unlocked", "USDT", "1", "order-1", json!({})),
            bot.step("failed", "BTC", "order-1", "BTC/USDT"),
        ]
    };

    one_by_one.applied(&events(&one_by_one)).await;
    let batch = at_once.apply(&events(&at_once)).await;

    assert_eq!(outcomes(&batch), ["applied"; 6]);
    at_once.world.assert_verified().await;
    for sql in [ORDERS, LOCKED, DRIFT] {
        assert_eq!(one_by_one.value(sql).await, at_once.value(sql).await);
    }
}
