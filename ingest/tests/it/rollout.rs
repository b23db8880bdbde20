//! A running lane while a newer program changes the schema.

use crate::world::{World, drain, step};
use anyhow::{Result, ensure};
use tiris_ingest::context::Context;
use tiris_ingest::lane::Step;
use tiris_runtime::database;

/// Changes the type of columns that the ledger reads, which outdates its prepared statements.
const MIGRATION: &str = "ALTER TABLE sub_accounts ALTER COLUMN symbol TYPE varchar(200); \
    ALTER TABLE processed_events ALTER COLUMN event_id TYPE varchar(200) COLLATE \"C\"";

#[tokio::test]
async fn a_lane_survives_changed_columns_without_waiting() -> Result<()> {
    let world = World::new().await?;
    let context = Context {
        pool: database::pool(&world.settings.database, "test")?,
        ..world.context()
    };
    let mut lane = world.lane_with(context).await?;
    world.send_credits(3).await?;
    drain(&mut lane).await?;

    world.execute(MIGRATION).await?;
    world.send_credits(3).await?;
    while world.btc().await? != "7" {
        let step = step(&mut lane).await;
        ensure!(matches!(step, Step::Committed(_) | Step::Idle), "{step:?}");
    }

    world.expect_rows("dead_letters", 0).await
}
