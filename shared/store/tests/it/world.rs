//! A user with a trading and accounts, and helpers that apply batches.

use chrono::{DateTime, Utc};
use serde_json::Map;
use sqlx::{AssertSqlSafe, PgPool};
use std::str::FromStr;
use tiris_domain::ids::{AccountId, TradingId, UserId, new_id};
use tiris_domain::lane::EventStream;
use tiris_domain::ledger::{
    Asset, Belief, Command, Direction, Fee, Hold, Lock, Movement, OrderEvent, OrderId, OrderStep,
    OrderTerms, Side, Trade,
};
use tiris_domain::money::Number;
use tiris_store::ledger::{
    Batch, Cause, Claim, Disposition, Entry, Source, apply_batch, assert_fresh,
};
use tiris_testing::{Role, TestDatabase};

/// A database with one user and one trading with 10 BTC, 1000 USDT and 5 BNB.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    /// The connections of the code under test.
    pub(crate) service: PgPool,
    pub(crate) user: UserId,
    pub(crate) trading: TradingId,
    pub(crate) btc: AccountId,
    pub(crate) usdt: AccountId,
    pub(crate) bnb: AccountId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await.expect("a database");
        let user = add_user(database.pool()).await;
        let trading = add_trading(database.pool(), user).await;
        let btc = add_account(database.pool(), user, trading, "BTC").await;
        let usdt = add_account(database.pool(), user, trading, "USDT").await;
        let bnb = add_account(database.pool(), user, trading, "BNB").await;

        let world = Self {
            service: database.pool_as(Role::Ingest).expect("a pool"),
            database,
            user,
            trading,
            btc,
            usdt,
            bnb,
        };
        let deposits = [
            credit(btc, "BTC", "10"),
            credit(usdt, "USDT", "1000"),
            credit(bnb, "BNB", "5"),
        ];
        let deposits = deposits.map(|command| Entry {
            source: Source::Manual,
            ..world.entry(command)
        });
        world.apply(&deposits).await;
        world
    }

    /// The connections of the test, as a superuser.
    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Returns an entry without an event id.
    pub(crate) fn entry(&self, command: Command) -> Entry {
        Entry {
            user: self.user,
            trading: self.trading,
            sub_account: command.accounts().first().copied(),
            order: command.order().cloned(),
            command,
            claim: None,
            log_type: "balance_updated".to_owned(),
            source: Source::Bot,
            event_time: Some(happened()),
            message: "test".to_owned(),
            info: Map::new(),
        }
    }

    /// Returns an entry with an event id; `content` decides whether contents are equal.
    pub(crate) fn event(&self, event_id: &str, content: u8, command: Command) -> Entry {
        let claim = Claim {
            event_id: event_id.to_owned(),
            content_hash: [content; 16],
            stream: EventStream::Trading,
            stream_seq: 7,
        };
        Entry {
            claim: Some(claim),
            ..self.entry(command)
        }
    }

    pub(crate) fn credit(&self, amount: &str) -> Command {
        credit(self.usdt, "USDT", amount)
    }

    pub(crate) fn debit(&self, amount: &str, order: Option<&str>) -> Command {
        Command::Move(Movement {
            direction: Direction::Debit,
            order: order.map(parsed),
            ..movement(self.usdt, "USDT", amount)
        })
    }

    pub(crate) fn lock(&self, amount: &str, order: Option<&str>) -> Command {
        self.lock_until(amount, order, None)
    }

    pub(crate) fn lock_until(
        &self,
        amount: &str,
        order: Option<&str>,
        expires_at: Option<DateTime<Utc>>,
    ) -> Command {
        let hold = self.hold(amount, order);
        Command::Lock(Lock { hold, expires_at })
    }

    pub(crate) fn unlock(&self, amount: &str, order: Option<&str>) -> Command {
        Command::Unlock(self.hold(amount, order))
    }

    fn hold(&self, amount: &str, order: Option<&str>) -> Hold {
        Hold {
            account: self.usdt,
            asset: parsed("USDT"),
            amount: parsed(amount),
            order: order.map(parsed),
            pair: None,
        }
    }

    /// Reports a step of a purchase of 10 BTC, on the account in BTC.
    pub(crate) fn step(&self, order: &str, step: OrderStep) -> Command {
        Command::Order(OrderEvent {
            account: Some(self.btc),
            order: parsed(order),
            pair: parsed("BTC/USDT"),
            side: Side::Buy,
            terms: OrderTerms {
                kind: "limit".to_owned(),
                amount: parsed("10"),
                price: Some(parsed("10")),
            },
            step,
        })
    }

    /// Buys `volume` BTC at `price` with a fee of 0.5 BNB.
    pub(crate) fn buy(&self, volume: &str, price: &str, order: Option<&str>) -> Command {
        Command::Trade(Trade {
            side: Side::Buy,
            reason: "long",
            stock_account: self.btc,
            stock: parsed("BTC"),
            currency_account: self.usdt,
            currency: parsed("USDT"),
            volume: parsed(volume),
            price: parsed(price),
            quote_amount: None,
            fees: vec![Fee {
                account: self.bnb,
                amount: parsed("0.5"),
                position: None,
            }],
            order: order.map(parsed::<OrderId>),
            terms: None,
            ends_order: false,
        })
    }

    /// Applies a batch in a transaction of its own.
    pub(crate) async fn apply(&self, entries: &[Entry]) -> Batch {
        let mut transaction = self.service.begin().await.expect("begun");
        let batch = apply_batch(&mut transaction, entries, rand_seed())
            .await
            .expect("applied");
        assert_fresh(&mut transaction, batch.timestamp)
            .await
            .expect("fresh");
        transaction.commit().await.expect("committed");
        batch
    }

    /// Applies a batch, and returns the outcomes of its entries.
    pub(crate) async fn outcomes(&self, entries: &[Entry]) -> Vec<&'static str> {
        outcomes(&self.apply(entries).await)
    }

    pub(crate) async fn outcome(&self, entry: Entry) -> &'static str {
        self.outcomes(&[entry]).await[0]
    }

    pub(crate) async fn balance(&self, account: AccountId) -> String {
        self.of_account(
            "SELECT trim_scale(balance)::text FROM sub_accounts WHERE id = $1",
            account,
        )
        .await
    }

    /// Returns balance, locked amount and sequence of an account.
    pub(crate) async fn figures(&self, account: AccountId) -> String {
        self.of_account(
            "SELECT trim_scale(balance) || ', ' || trim_scale(locked) || ' locked, sequence ' || sequence \
             FROM sub_accounts WHERE id = $1",
            account,
        )
        .await
    }

    /// Returns order id and amount of every hold of an account.
    pub(crate) async fn holds(&self, account: AccountId) -> String {
        self.of_account(
            "SELECT coalesce(string_agg(coalesce(nullif(order_id, ''), 'no order') || ': ' || trim_scale(amount), ', ' \
             ORDER BY order_id), 'none') FROM holds WHERE sub_account_id = $1",
            account,
        )
        .await
    }

    async fn of_account(&self, sql: &'static str, account: AccountId) -> String {
        let query = sqlx::query_scalar(sql).bind(account.0);
        query.fetch_one(self.pool()).await.expect(sql)
    }

    /// Returns event id and outcome of every claim.
    pub(crate) async fn claims(&self) -> Vec<String> {
        let sql = "SELECT event_id || ' ' || outcome FROM processed_events ORDER BY event_id";
        let claims = sqlx::query_scalar(sql).fetch_all(self.pool());
        claims.await.expect("claims")
    }

    /// Counts the rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        let count = sqlx::query_scalar(sql).fetch_one(self.pool());
        count.await.expect("count")
    }

    /// Fails unless the books pass the checks of the migrations tool.
    pub(crate) async fn assert_verified(&self) {
        let hidden = indicatif::ProgressBar::hidden();
        let report = tiris_migrations::verify(self.database.url(), &hidden)
            .await
            .expect("verified");
        assert!(report.is_clean(), "{report:?}");
    }
}

/// Returns the event time of these tests, long before the booking.
pub(crate) fn happened() -> DateTime<Utc> {
    DateTime::from_timestamp(1_516_000_000, 0).expect("in range")
}

pub(crate) fn parsed<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect(text)
}

pub(crate) fn rand_seed() -> u64 {
    new_id().as_u64_pair().1
}

/// Returns the outcomes of the entries of a batch.
pub(crate) fn outcomes(batch: &Batch) -> Vec<&'static str> {
    let word = |disposition: &Disposition| match disposition {
        Disposition::Applied(_) => "applied",
        Disposition::Recorded => "recorded",
        Disposition::Duplicate => "duplicate",
        Disposition::DeadLetter(Cause::EventIdReused) => "reused",
        Disposition::DeadLetter(cause) => cause.code(),
        Disposition::Deferred => "behind",
    };
    batch.dispositions.iter().map(word).collect()
}

/// Returns a credit without an order.
pub(crate) fn movement(account: AccountId, symbol: &str, amount: &str) -> Movement {
    Movement {
        account,
        asset: parsed::<Asset>(symbol),
        direction: Direction::Credit,
        amount: parsed::<Number>(amount),
        order: None,
        pair: None,
        reason: "test".to_owned(),
        belief: Belief::default(),
    }
}

pub(crate) fn credit(account: AccountId, symbol: &str, amount: &str) -> Command {
    Command::Move(movement(account, symbol, amount))
}

pub(crate) async fn add_user(pool: &PgPool) -> UserId {
    let id = UserId(new_id());
    insert_user(pool, id).await;
    id
}

pub(crate) async fn insert_user(pool: &PgPool, id: UserId) {
    sqlx::query("INSERT INTO users (id, username) VALUES ($1, $1::text)")
        .bind(id.0)
        .execute(pool)
        .await
        .expect("user");
}

pub(crate) async fn add_trading(pool: &PgPool, user: UserId) -> TradingId {
    let id = TradingId(new_id());
    insert_trading(pool, id, user).await;
    id
}

pub(crate) async fn insert_trading(pool: &PgPool, id: TradingId, user: UserId) {
    sqlx::query(
        "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $1::text, 'paper')",
    )
    .bind(id.0)
    .bind(user.0)
    .execute(pool)
    .await
    .expect("trading");
}

/// An account to insert.
pub(crate) struct NewAccount<'a> {
    pub(crate) id: AccountId,
    pub(crate) user: UserId,
    pub(crate) trading: TradingId,
    pub(crate) symbol: &'a str,
}

pub(crate) async fn add_account(
    pool: &PgPool,
    user: UserId,
    trading: TradingId,
    symbol: &str,
) -> AccountId {
    let account = NewAccount {
        id: AccountId(new_id()),
        user,
        trading,
        symbol,
    };
    insert_account(pool, &account).await;
    account.id
}

pub(crate) async fn insert_account(pool: &PgPool, account: &NewAccount<'_>) {
    sqlx::query(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $1::text, $4)",
    )
    .bind(account.id.0)
    .bind(account.user.0)
    .bind(account.trading.0)
    .bind(account.symbol)
    .execute(pool)
    .await
    .expect("account");
}
