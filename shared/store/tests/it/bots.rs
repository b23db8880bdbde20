//! Heartbeats of bots.

use crate::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use tiris_domain::ids::{TradingId, new_id};
use tiris_domain::states::BotStatus;
use tiris_store::bots::{COMPONENTS_PER_USER_MAX, Heartbeat, upsert_latest};

/// Time of the first heartbeat of the known component.
const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn heartbeat(
    world: &World,
    component: &str,
    trading: TradingId,
    seen_at: DateTime<Utc>,
) -> Heartbeat {
    Heartbeat {
        event_id: String::new(),
        user: world.user,
        trading,
        component: component.to_owned(),
        status: BotStatus::Healthy,
        seen_at,
        metrics: Map::new(),
        info: Map::new(),
    }
}

async fn store(world: &World, heartbeats: &[Heartbeat]) {
    let heartbeats = Vec::from_iter(heartbeats);
    let mut connection = world.pool().acquire().await.expect("a connection");
    upsert_latest(&mut connection, &heartbeats)
        .await
        .expect("stored");
}

#[tokio::test]
async fn limits_the_components_of_a_user() {
    let world = World::new().await;
    let trading = world.trading;
    store(&world, &[heartbeat(&world, "known", trading, FIRST)]).await;
    for _ in 0..2 {
        let invented: Vec<Heartbeat> = (0..COMPONENTS_PER_USER_MAX + 5)
            .map(|number| {
                let component = format!("invented-{number}");
                heartbeat(&world, &component, TradingId(new_id()), FIRST)
            })
            .collect();
        store(&world, &invented).await;
    }

    let later = FIRST + TimeDelta::seconds(1);
    let known = heartbeat(&world, "known", trading, later);
    let new = heartbeat(&world, "new", trading, later);
    store(&world, &[known, new]).await;

    assert_eq!(world.count("bots").await, COMPONENTS_PER_USER_MAX);
    let last: DateTime<Utc> = sqlx::query_scalar("SELECT max(last_seen_at) FROM bots")
        .fetch_one(world.pool())
        .await
        .expect("a time");
    assert_eq!(last, later);
}
