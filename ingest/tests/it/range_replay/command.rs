//! The command that requests a replay and waits for its end.

use crate::world::World;
use anyhow::{Result, ensure};
use serde_json::Value;

const RANGE: [&str; 5] = [
    "replay",
    "--from",
    "2026-01-01T00:00:00Z",
    "--to",
    "2100-01-01T00:00:00Z",
];

#[tokio::test]
async fn a_replay_needs_a_confirmation_and_a_known_type() -> Result<()> {
    let world = World::new().await?;

    let unconfirmed = world.run(&RANGE).await?;
    unconfirmed.fails(&["--yes"])?;

    let unknown = ["--type", "trading.everything", "--yes"];
    let unknown = world.run(&[&RANGE[..], &unknown].concat()).await?;
    unknown.fails(&["trading.orders.filled"])
}

#[tokio::test]
async fn an_operator_requests_a_replay_and_sees_its_end() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.ready_worker().await?;
    world.send_credits(1).await?;
    world.btc_reaches("1").await?;

    let done = world.run(&[&RANGE[..], &["--yes"]].concat()).await?;
    done.succeeds(&["0 events applied, 1 duplicate, 0 rejected"])?;

    let listed = world.run(&["replay", "list", "--json"]).await?;
    listed.succeeds(&[])?;
    let jobs: Value = serde_json::from_str(&listed.stdout)?;
    assert_eq!(jobs[0]["status"], "done", "{jobs}");
    assert_eq!(jobs[0]["duplicate"], 1, "{jobs}");
    let (id, start): (String, String) = sqlx::query_as(
        "SELECT resource_id, after->>'start_time' FROM audit_logs WHERE action = 'events.replay'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(jobs[0]["id"], id);
    ensure!(start.starts_with("2026-01-01T00:00:00"), "{start}");
    worker.stops().await
}
