//! A trading with two accounts, on which most tests work.

use super::{Answer, User, text};

use serde_json::{Value, json};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_store::ledger::{Entry, Source};

/// A trading with an account of ETH and one of BTC.
pub(crate) struct Book {
    pub(crate) trading: String,
    pub(crate) stock: String,
    pub(crate) currency: String,
}

impl Book {
    /// Returns a trading log that buys 2 ETH at 0.05 BTC with a fee of 0.001 BTC.
    pub(crate) fn trade(&self, log_type: &str) -> Value {
        json!({
            "trading_id": self.trading,
            "type": log_type,
            "source": "bot",
            "message": "a trade",
            "info": {
                "stock_account_id": self.stock,
                "currency_account_id": self.currency,
                "price": "0.05",
                "volume": "2",
                "stock": "ETH",
                "currency": "BTC",
                "fee": "0.001",
            },
        })
    }

    /// Returns the same trade with one field of its `info` replaced.
    pub(crate) fn trade_with(&self, log_type: &str, key: &str, value: impl Into<Value>) -> Value {
        let mut trade = self.trade(log_type);
        trade["info"][key] = value.into();
        trade
    }

    /// Returns a deposit of 1 to book directly in the database.
    pub(crate) fn deposit_entry(&self, user: UserId, account: &str, source: Source) -> Entry {
        let symbol = if account == self.stock { "ETH" } else { "BTC" };
        let account = AccountId(account.parse().expect("an id"));
        let movement = Movement {
            account,
            asset: symbol.parse().expect("an asset"),
            direction: Direction::Credit,
            amount: "1".parse().expect("an amount"),
            order: None,
            pair: None,
            reason: "deposit".to_owned(),
            belief: Belief::default(),
        };

        Entry {
            sub_account: Some(account),
            log_type: "deposit".to_owned(),
            source,
            ..self.entry(user, Command::Move(movement))
        }
    }

    /// Returns an entry without an account to book directly in the database.
    pub(crate) fn entry(&self, user: UserId, command: Command) -> Entry {
        Entry {
            user,
            trading: TradingId(self.trading.parse().expect("an id")),
            sub_account: None,
            command,
            claim: None,
            log_type: "signal".to_owned(),
            source: Source::Bot,
            order: None,
            event_time: None,
            message: String::new(),
            info: serde_json::Map::new(),
        }
    }

    /// Returns a trading log without postings.
    pub(crate) fn note(&self) -> Value {
        json!({"trading_id": self.trading, "type": "note", "source": "bot", "message": ""})
    }
}

impl User<'_> {
    /// Creates a paper trading with these balances.
    pub(crate) async fn book(&self, name: &str, eth: &str, btc: &str) -> Book {
        self.book_of(json!({
            "name": name,
            "type": "paper",
            "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": eth},
                {"name": "currency", "symbol": "BTC", "initial_deposit": btc},
            ],
        }))
        .await
    }

    /// Creates a trading by this request, with an account of ETH and one of BTC.
    pub(crate) async fn book_of(&self, request: Value) -> Book {
        let trading = self.post("/v1/tradings", request).await.id();
        let accounts = self
            .get(&format!("/v1/sub-accounts?trading_id={trading}"))
            .await;

        let id = |symbol: &str| {
            let mut all = accounts.list("sub_accounts").iter();
            let account = all.find(|account| account["symbol"] == symbol);
            text(&account.expect(symbol)["id"])
        };
        Book {
            stock: id("ETH"),
            currency: id("BTC"),
            trading,
        }
    }

    /// Posts a trading log, which must succeed.
    pub(crate) async fn log(&self, body: Value) -> Answer {
        let answer = self.post("/v1/trading-logs", body).await;
        answer.data();
        answer
    }

    pub(crate) async fn deposit(&self, account: &str, amount: &str) -> Answer {
        self.move_money("deposit", account, amount).await
    }

    pub(crate) async fn withdraw(&self, account: &str, amount: &str) -> Answer {
        self.move_money("withdraw", account, amount).await
    }

    async fn move_money(&self, direction: &str, account: &str, amount: &str) -> Answer {
        let path = format!("/v1/sub-accounts/{account}/{direction}");
        self.post(&path, json!({"amount": amount})).await
    }

    /// Returns the balance of an account.
    pub(crate) async fn balance(&self, account: &str) -> String {
        let account = self.get(&format!("/v1/sub-accounts/{account}")).await;
        text(&account.data()["balance"])
    }
}
