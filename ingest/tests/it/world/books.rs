//! Preparation and expectations of the test's database.

use super::{WAIT, World};
use anyhow::{Result, anyhow, ensure};
use sqlx::AssertSqlSafe;
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Asset, Belief, Command, Direction, Movement};
use tiris_store::dead_letters::{self, Actor};
use tiris_store::ledger::{self, Disposition, Entry, Source};
use tiris_testing::{Role, eventually};
use uuid::Uuid;

/// An account to add.
pub(crate) struct Account<'a> {
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    pub(crate) id: Uuid,
    pub(crate) symbol: &'a str,
}

impl World {
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

    pub(crate) async fn add_account(&self, account: Account<'_>) -> Result<()> {
        sqlx::query(
            "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(account.id)
        .bind(account.user)
        .bind(account.trading)
        .bind(account.symbol)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Adds an account to the world's trading.
    pub(crate) async fn open_account(&self, id: Uuid, symbol: &str) -> Result<()> {
        self.add_account(Account {
            user: self.user,
            trading: self.trading,
            id,
            symbol,
        })
        .await
    }

    /// Books a deposit of BTC as REST does.
    pub(crate) async fn deposit(&self, amount: &str) -> Result<()> {
        let account = AccountId(self.currency);
        let movement = Movement {
            account,
            asset: Asset::from_static("BTC"),
            direction: Direction::Credit,
            amount: amount
                .parse()
                .map_err(|_| anyhow!("{amount} is not a number"))?,
            order: None,
            pair: None,
            reason: "deposit".to_owned(),
            belief: Belief::default(),
        };
        let entry = Entry {
            user: UserId(self.user),
            trading: TradingId(self.trading),
            sub_account: Some(account),
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
        let sql = "SELECT trim_scale(balance)::text FROM sub_accounts WHERE id = $1";
        let balance = sqlx::query_scalar(sql).bind(account);
        Ok(balance.fetch_one(self.pool()).await?)
    }

    pub(crate) async fn btc(&self) -> Result<String> {
        self.balance(self.currency).await
    }

    pub(crate) async fn balance_reaches(&self, account: Uuid, expected: &str) -> Result<()> {
        eventually("the balance", WAIT, async || {
            let balance = self.balance(account).await?;
            ensure!(balance == expected, "{balance} instead of {expected}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn btc_reaches(&self, expected: &str) -> Result<()> {
        self.balance_reaches(self.currency, expected).await
    }

    pub(crate) async fn number(&self, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(self.pool()).await?)
    }

    /// Counts the rows of a table, or of any expression after `FROM`.
    pub(crate) async fn count(&self, from: &str) -> Result<i64> {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {from}"));
        Ok(sqlx::query_scalar(sql).fetch_one(self.pool()).await?)
    }

    pub(crate) async fn expect_rows(&self, from: &str, expected: i64) -> Result<()> {
        let found = self.count(from).await?;
        ensure!(found == expected, "{from}: {found} instead of {expected}");
        Ok(())
    }

    pub(crate) async fn rows_reach(&self, from: &str, expected: i64) -> Result<()> {
        eventually(from, WAIT, async || self.expect_rows(from, expected).await).await
    }

    /// Expects this many dead letters with a code.
    pub(crate) async fn expect_dead_letters(&self, code: &str, expected: i64) -> Result<()> {
        let coded = format!("dead_letters WHERE code = '{code}'");
        self.expect_rows(&coded, expected).await
    }

    /// Expects this many open dead letters.
    pub(crate) async fn expect_open(&self, expected: i64) -> Result<()> {
        self.expect_rows("dead_letters WHERE status = 'open'", expected)
            .await
    }

    /// Expects this many processed events with an outcome.
    pub(crate) async fn expect_events(&self, outcome: &str, expected: i64) -> Result<()> {
        let processed = format!("processed_events WHERE outcome = '{outcome}'");
        self.expect_rows(&processed, expected).await
    }

    /// Returns the only dead letter with a code.
    pub(crate) async fn dead_letter(&self, code: &str) -> Result<Uuid> {
        let letters = sqlx::query_scalar("SELECT id FROM dead_letters WHERE code = $1").bind(code);
        Ok(letters.fetch_one(self.pool()).await?)
    }

    /// Discards a dead letter as an operator does.
    pub(crate) async fn discard(&self, letter: Uuid) -> Result<()> {
        let operator = Actor::Operator("alice".to_owned());
        let mut connection = self.pool().acquire().await?;
        dead_letters::discard(&mut connection, letter, "a test", &operator).await?;
        Ok(())
    }

    pub(crate) async fn execute(&self, sql: &'static str) -> Result<()> {
        sqlx::raw_sql(sql).execute(self.pool()).await?;
        Ok(())
    }

    /// Makes the insert of a log with the message `boom` fail unexpectedly.
    pub(crate) async fn fail_on_boom(&self) -> Result<()> {
        self.execute(
            "CREATE FUNCTION explode() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF NEW.message = 'boom' THEN RAISE EXCEPTION 'unforeseen'; END IF; RETURN NEW; END $$; \
             CREATE TRIGGER explode BEFORE INSERT ON trading_logs FOR EACH ROW EXECUTE FUNCTION explode()",
        )
        .await
    }

    /// Runs the checks of the migrations tool on the books.
    pub(crate) async fn verify(&self) -> Result<()> {
        let hidden = indicatif::ProgressBar::hidden();
        let url = self.database.url_as(Role::Read)?;
        let report = tiris_migrations::verify(&url, &hidden).await?;
        ensure!(report.is_clean(), "{report:?}");
        Ok(())
    }
}
