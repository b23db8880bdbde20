//! The command that shows lanes, workers and dead letters.

use crate::world::World;
use anyhow::Result;
use serde_json::Value;
use uuid::Uuid;

#[tokio::test]
async fn status_shows_lanes_workers_and_dead_letters() -> Result<()> {
    let world = World::new().await?;
    let mut worker = world.ready_worker().await?;
    world.send_credits(1).await?;
    world.send_bytes("no JSON").await?;
    world.btc_reaches("1").await?;
    world.rows_reach("dead_letters", 1).await?;
    let not_reported = "ingest_lanes WHERE status <> 'running'";
    world.rows_reach(not_reported, 0).await?;

    let notable = world.run(&["status"]).await?;
    notable.succeeds(&["TRADING", "open dead letters: 1 malformed"])?;

    let all = world.run(&["status", "--lanes", "all"]).await?;
    all.succeeds(&["TRADING_SYSTEM", "running", "worker"])?;

    let json = world.run(&["status", "--json"]).await?;
    json.succeeds(&[])?;
    let status: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(status["healthy"], true, "{status}");
    assert_eq!(status["dead_letters"]["malformed"], 1, "{status}");
    assert_eq!(status["workers"][0]["lanes"], lanes(&status), "{status}");
    worker.stops().await
}

#[tokio::test]
async fn status_exits_with_2_when_a_lane_does_not_run() -> Result<()> {
    let world = World::new().await?;
    world.ready_worker().await?.stops().await?;

    let stopped = world.run(&["status"]).await?;

    stopped.fails(&["free", "no worker is alive: start `tiris-ingest run`"])?;
    assert_eq!(stopped.code, Some(2), "{stopped:?}");
    Ok(())
}

/// Returns the number of lanes with an owner.
fn lanes(status: &Value) -> usize {
    let lanes = status["lanes"].as_array().into_iter().flatten();
    let owners = lanes.filter_map(|lane| lane["worker"].as_str());
    owners.filter(|owner| owner.parse::<Uuid>().is_ok()).count()
}
