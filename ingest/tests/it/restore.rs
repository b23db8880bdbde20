//! A database that is restored from a backup while the worker runs.

use crate::world::{Account, WAIT, World};
use anyhow::Result;
use serde_json::json;
use tiris_testing::eventually;
use uuid::Uuid;

/// Ids of a trading with an account from before the backup, and of an account that is created after it.
struct Ids {
    other_trading: Uuid,
    elsewhere: Uuid,
    lost: Uuid,
}

impl Ids {
    fn new() -> Self {
        Self {
            other_trading: Uuid::now_v7(),
            elsewhere: Uuid::now_v7(),
            lost: Uuid::now_v7(),
        }
    }

    /// Makes a deposit and creates an account over REST, after the backup.
    async fn over_rest(&self, world: &World) -> Result<()> {
        eventually("a deposit over REST", WAIT, async || {
            world.deposit("100").await
        })
        .await?;
        world.open_account(self.lost, "BNB").await
    }

    /// Publishes events; the first three depend on the changes over REST, each through the one before.
    async fn send_events(&self, world: &World) -> Result<()> {
        let mut independent = world.credit(self.elsewhere, "BTC", "7");
        independent["trading_id"] = json!(self.other_trading);
        world
            .send_all(&[
                world.btc_debit("50"),
                world.btc_credit("1"),
                world.credit(self.lost, "BNB", "2"),
                world.fill_with_fee("5", "0.1", self.lost),
                independent,
            ])
            .await
    }
}

async fn codes(world: &World) -> Result<Vec<String>> {
    let codes = sqlx::query_scalar("SELECT code FROM dead_letters ORDER BY stream_seq");
    Ok(codes.fetch_all(world.pool()).await?)
}

/// Events that depend on lost changes over REST become dead letters; all others are applied again.
#[tokio::test]
async fn after_a_restore_every_event_is_booked_or_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.worker()?;
    world.send_credits(3).await?;
    world.btc_reaches("3").await?;
    let ids = Ids::new();
    world.add_trading(world.user, ids.other_trading).await?;
    world
        .add_account(Account {
            user: world.user,
            trading: ids.other_trading,
            id: ids.elsewhere,
            symbol: "BTC",
        })
        .await?;
    let backup = world.database.backup().await?;
    tiris_migrations::after_restore(backup.url()).await?;

    ids.over_rest(&world).await?;
    ids.send_events(&world).await?;
    world.balance_reaches(ids.elsewhere, "7").await?;
    world.expect_rows("dead_letters", 0).await?;
    world.database.restore(backup).await?;

    world.balance_reaches(ids.elsewhere, "7").await?;
    let expected = [
        "INSUFFICIENT_BALANCE",
        "UNKNOWN_SUB_ACCOUNT",
        "BEHIND_UNRESOLVED",
    ];
    assert_eq!(codes(&world).await?, expected);
    assert_eq!(world.btc().await?, "4");
    assert_eq!(world.balance(world.stock).await?, "0");
    world.expect_rows("transactions", 5).await?;

    // After the changes over REST are repeated, the dead letters can be applied.
    world.open_account(ids.lost, "BNB").await?;
    world.deposit("100").await?;
    world.balance_reaches(world.stock, "5").await?;
    let replay = world.run(&["dlq", "replay", "--all", "--yes"]).await?;
    replay.succeeds(&[])?;
    assert_eq!(world.btc().await?, "53.5");
    world.expect_open(0).await?;
    world.verify().await?;
    worker.ready().await?;
    worker.stops().await
}
