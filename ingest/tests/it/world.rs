//! A small world for a test: a database with one user and two accounts, a broker, and the lanes between them.

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use clap::Parser;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tiris_domain::event::{BareSubjects, Kind};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_ingest::connection::Connection;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Lane, Step};
use tiris_ingest::settings::{Policy, RunArgs, Settings};
use tiris_ingest::status::Board;
use tiris_ingest::stream;
use tiris_store::ledger::{self, Disposition, Entry, Source};
use tiris_testing::{NatsServer, NatsSettings, TestDatabase, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Lanes per stream in tests; with the one of the bare subjects there are three.
pub(crate) const LANES: u16 = 2;
pub(crate) const WAIT: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) nats: NatsServer,
    pub(crate) connection: Connection,
    pub(crate) settings: Settings,
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    /// Holds ETH.
    pub(crate) stock: Uuid,
    /// Holds BTC.
    pub(crate) currency: Uuid,
    next_event: AtomicU32,
}

/// A client, as a bot or an operator has one.
impl World {
    pub(crate) async fn new() -> Result<Self> {
        Self::with_nats(NatsSettings::default()).await
    }

    pub(crate) async fn with_nats(nats: NatsSettings) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let nats = NatsServer::private_with(nats).await?;
        let settings = settings(database.url(), &nats.url())?;
        let connection = Connection::open(&settings.nats).await?;
        let [user, trading, stock, currency] = std::array::from_fn(|_| Uuid::now_v7());
        let world = Self {
            database,
            nats,
            connection,
            settings,
            user,
            trading,
            stock,
            currency,
            next_event: 0.into(),
        };
        world.add_user(user, "alice").await?;
        world.add_trading(user, trading).await?;
        world.add_account(user, trading, stock, "ETH").await?;
        world.add_account(user, trading, currency, "BTC").await?;
        eventually("the streams", WAIT, async || {
            stream::declare(&world.connection.jetstream, &world.settings.streams).await
        })
        .await?;
        Ok(world)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn add_user(&self, id: Uuid, name: &str) -> Result<()> {
        sqlx::query("INSERT INTO users (id, username) VALUES ($1, $2)")
            .bind(id)
            .bind(name)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    pub(crate) async fn add_trading(&self, user: Uuid, id: Uuid) -> Result<()> {
        sqlx::query("INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $3, 'paper')")
            .bind(id)
            .bind(user)
            .bind(id.to_string())
            .execute(self.pool())
            .await?;
        Ok(())
    }

    pub(crate) async fn add_account(
        &self,
        user: Uuid,
        trading: Uuid,
        id: Uuid,
        symbol: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(id)
        .bind(user)
        .bind(trading)
        .bind(symbol)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            pool: self.pool().clone(),
            connection: self.connection.clone(),
            owner: Uuid::new_v4(),
            lanes: LANES,
            stream_replicas: 1,
            bare_subjects: BareSubjects::Accept,
            batch_events: self.settings.batch_events,
            lease: self.settings.lease,
            idle_move: WAIT,
            policy: Policy::default(),
            board: Board::default(),
        }
    }

    /// The lane of orders and balances the world's user is in.
    pub(crate) async fn own_lane(&self) -> Result<LaneKey> {
        let subject = Kind::BalanceUpdated.subject_of(self.user);
        let (_, stored) = self
            .publish(&subject, &self.credit(self.currency, "BTC", "1"))
            .await?;
        let token = stored.split('.').nth(3).context("a lane in the subject")?;
        Ok(LaneKey {
            stream: EventStream::Trading,
            lane: token.parse()?,
        })
    }

    /// Runs all lanes of both streams until `done` is content.
    pub(crate) async fn run_until(
        &self,
        what: &str,
        done: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        self.run_with(self.context(), what, done).await
    }

    pub(crate) async fn run_with(
        &self,
        context: Context,
        what: &str,
        done: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        for stream in EventStream::ALL {
            for lane in 0..=LANES {
                let id = LaneKey { stream, lane };
                // As the worker does: a lane taken before may have lost the common connection to a message.
                let taken = eventually("a lane", WAIT, async || {
                    Lane::seize(context.clone(), id).await
                })
                .await?;
                tasks.spawn(taken.run(stop.clone()));
            }
        }
        let result = eventually(what, WAIT, done).await;
        stop.cancel();
        let kept = tasks.join_all().await;
        result?;
        ensure!(kept.iter().all(|kept| *kept), "a lane was lost");
        Ok(())
    }

    pub(crate) async fn publish(&self, subject: &str, event: &Value) -> Result<(u64, String)> {
        self.publish_bytes(subject, event.to_string().into_bytes())
            .await
    }

    /// Publishes and answers the sequence and the subject the stream keeps.
    pub(crate) async fn publish_bytes(
        &self,
        subject: &str,
        payload: Vec<u8>,
    ) -> Result<(u64, String)> {
        let ack = self
            .connection
            .jetstream
            .publish(subject.to_owned(), payload.into())
            .await?
            .await?;
        let stored = self
            .connection
            .jetstream
            .get_stream(&ack.stream)
            .await?
            .get_raw_message(ack.sequence)
            .await?;
        Ok((ack.sequence, stored.subject.to_string()))
    }

    /// The fields every event has, with a fresh id.
    pub(crate) fn common(&self, kind: Kind) -> Value {
        let number = self.next_event.fetch_add(1, Ordering::Relaxed);
        json!({
            "event_id": format!("e-{number:04}"),
            "event_type": kind.bare_subject(),
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "user_id": self.user,
            "trading_id": self.trading,
            "source": "test-bot",
            "version": "1.0",
        })
    }

    pub(crate) fn with(&self, kind: Kind, fields: Value) -> Value {
        let mut event = self.common(kind);
        for (name, value) in fields.as_object().expect("an object") {
            event[name] = value.clone();
        }
        event
    }

    pub(crate) fn credit(&self, account: Uuid, symbol: &str, amount: &str) -> Value {
        let fields = json!({"sub_account_id": account, "symbol": symbol, "amount": amount, "direction": "credit",
                            "reason": "test"});
        self.with(Kind::BalanceUpdated, fields)
    }

    pub(crate) fn fill(&self, volume: &str, price: &str, fee: &str) -> Value {
        let fields = json!({
            "sub_account_id": self.stock, "order_id": "o-1", "symbol": "ETH/BTC", "side": "buy", "type": "limit",
            "amount": volume, "price": price, "status": "filled",
            "fill": {"stock_account_id": self.stock, "currency_account_id": self.currency, "volume": volume,
                     "price": price, "fee": fee},
        });
        self.with(Kind::OrderFilled, fields)
    }

    pub(crate) async fn send(&self, kind: Kind, event: &Value) -> Result<u64> {
        Ok(self.publish(&kind.subject_of(self.user), event).await?.0)
    }

    /// Books a deposit as REST does.
    pub(crate) async fn deposit(&self, account: Uuid, symbol: &str, amount: &str) -> Result<()> {
        let parsed = |why: String| anyhow::anyhow!(why);
        let movement = Movement {
            account: AccountId(account),
            asset: symbol.parse().map_err(parsed)?,
            direction: Direction::Credit,
            amount: amount
                .parse()
                .map_err(|_| anyhow::anyhow!("{amount} is no number"))?,
            order: None,
            reason: "deposit".to_owned(),
            belief: Belief::default(),
        };
        let entry = Entry {
            user: UserId(self.user),
            trading: TradingId(self.trading),
            sub_account: Some(AccountId(account)),
            command: Command::Move(movement),
            claim: None,
            log_type: "deposit".to_owned(),
            source: Source::Manual,
            order: None,
            event_time: None,
            message: String::new(),
            info: serde_json::Map::new(),
        };
        let mut transaction = self.pool().begin().await?;
        let batch = ledger::apply_batch(&mut transaction, &[entry], rand::random()).await?;
        ensure!(
            matches!(batch.dispositions[..], [Disposition::Applied(_)]),
            "{batch:?}"
        );
        transaction.commit().await?;
        Ok(())
    }

    pub(crate) async fn balance(&self, account: Uuid) -> Result<String> {
        let text: String =
            sqlx::query_scalar("SELECT trim_scale(balance)::text FROM sub_accounts WHERE id = $1")
                .bind(account)
                .fetch_one(self.pool())
                .await?;
        Ok(text)
    }

    pub(crate) async fn balance_reaches(&self, account: Uuid, expected: &str) -> Result<()> {
        eventually("the balance", WAIT, async || {
            let balance = self.balance(account).await?;
            ensure!(balance == expected, "{balance} instead of {expected}");
            Ok(())
        })
        .await
    }

    /// Publishes so many credits of 1 BTC.
    pub(crate) async fn send_credits(&self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.send(
                Kind::BalanceUpdated,
                &self.credit(self.currency, "BTC", "1"),
            )
            .await?;
        }
        Ok(())
    }

    /// From now on the database fails on a log whose message is `boom`, for a reason nobody foresaw.
    pub(crate) async fn fail_on_boom(&self) -> Result<()> {
        sqlx::raw_sql(
            "CREATE FUNCTION explode() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.message = 'boom' THEN RAISE EXCEPTION 'nobody foresaw this'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER explode BEFORE INSERT ON trading_logs FOR EACH ROW EXECUTE FUNCTION explode()",
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    pub(crate) async fn count(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(self.pool()).await?)
    }

    pub(crate) async fn expect_count(&self, sql: &'static str, expected: i64) -> Result<()> {
        let found = self.count(sql).await?;
        ensure!(found == expected, "{sql}: {found} instead of {expected}");
        Ok(())
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.connection.jetstream
    }
}

/// Steps until the lane has nothing more to do.
pub(crate) async fn drain(lane: &mut Lane) -> Step {
    let stop = CancellationToken::new();
    loop {
        match lane.step(&stop).await {
            Step::Committed(_) | Step::Narrowed | Step::Followed => {}
            other => return other,
        }
    }
}

pub(crate) fn settings(database_url: &str, nats_url: &str) -> Result<Settings> {
    let arguments = [
        "test".to_owned(),
        format!("--database-url={database_url}"),
        format!("--nats-url={nats_url}"),
        format!("--lanes={LANES}"),
        "--admin-listen=127.0.0.1:0".to_owned(),
    ];
    Ok(Args::parse_from(arguments).run.check()?)
}
