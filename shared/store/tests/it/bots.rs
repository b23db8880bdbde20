//! The latest states of bots.

use crate::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use tiris_domain::ids::{TradingId, new_id};
use tiris_domain::states::BotStatus;
use tiris_store::bots::{COMPONENTS_PER_USER_MAX, Heartbeat, upsert_latest};

/// When the known component was seen first.
const FIRST: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn beat(world: &World, component: &str, trading: TradingId, seen_at: DateTime<Utc>) -> Heartbeat {
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

async fn keep(world: &World, beats: &[Heartbeat]) {
    let beats = Vec::from_iter(beats);
    let mut connection = world.pool().acquire().await.expect("a connection");
    upsert_latest(&mut connection, &beats).await.expect("kept");
}

#[tokio::test]
async fn invented_components_fill_no_table_and_the_known_ones_go_on() {
    let world = World::new().await;
    let trading = world.trading;
    keep(&world, &[beat(&world, "known", trading, FIRST)]).await;
    for _ in 0..2 {
        let invented: Vec<Heartbeat> = (0..COMPONENTS_PER_USER_MAX + 5)
            .map(|number| {
                let component = format!("invented-{number}");
                beat(&world, &component, TradingId(new_id()), FIRST)
            })
            .collect();
        keep(&world, &invented).await;
    }

    let later = FIRST + TimeDelta::seconds(1);
    let known = beat(&world, "known", trading, later);
    let new = beat(&world, "new", trading, later);
    keep(&world, &[known, new]).await;

    assert_eq!(world.count("bots").await, COMPONENTS_PER_USER_MAX);
    let last: DateTime<Utc> = sqlx::query_scalar("SELECT max(last_seen_at) FROM bots")
        .fetch_one(world.pool())
        .await
        .expect("a time");
    assert_eq!(last, later);
}
