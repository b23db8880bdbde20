//! The latest states of bots.

use crate::world::World;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Map;
use tiris_domain::ids::{TradingId, new_id};
use tiris_domain::states::BotStatus;
use tiris_store::bots::{COMPONENTS_PER_USER_MAX, Heartbeat, keep_latest};

#[tokio::test]
async fn invented_components_fill_no_table_and_the_known_ones_go_on() {
    let world = World::new().await;
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let beat = |number: i64, trading: TradingId, seen_at: DateTime<Utc>| Heartbeat {
        event_id: String::new(),
        user: world.user,
        trading,
        component: format!("component-{number}"),
        status: BotStatus::Healthy,
        seen_at,
        metrics: Map::new(),
        info: Map::new(),
    };
    let mut connection = world.pool().acquire().await.expect("a connection");
    keep_latest(&mut connection, &[&beat(0, world.trading, at)])
        .await
        .expect("the first");
    for _ in 0..2 {
        let invented: Vec<Heartbeat> = (0..COMPONENTS_PER_USER_MAX + 5)
            .map(|number| beat(number, TradingId(new_id()), at))
            .collect();
        keep_latest(&mut connection, &Vec::from_iter(&invented))
            .await
            .expect("invented ones");
    }
    let later = at + TimeDelta::seconds(1);
    let beats = [
        beat(0, world.trading, later),
        beat(-1, world.trading, later),
    ];
    keep_latest(&mut connection, &Vec::from_iter(&beats))
        .await
        .expect("a known one and a new one");
    let kept: (i64, DateTime<Utc>) = sqlx::query_as("SELECT count(*), max(last_seen_at) FROM bots")
        .fetch_one(world.pool())
        .await
        .expect("a count");
    assert_eq!(kept, (COMPONENTS_PER_USER_MAX, later));
}
