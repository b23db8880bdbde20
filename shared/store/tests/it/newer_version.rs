//! Rows of a newer version that runs at the same time.

use std::time::Duration;
use tiris_domain::ids::new_id;
use tiris_store::{lanes, status};
use tiris_testing::TestDatabase;

const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn skips_lanes_of_an_unknown_stream() {
    let database = TestDatabase::new().await.expect("a database");
    let pool = database.pool();
    let owner = new_id();
    sqlx::query(
        "INSERT INTO ingest_lanes (stream, lane, stream_created_at, owner, epoch) \
         VALUES ('TRADING', 0, 1, NULL, 0), ('NEWER', 0, 1, NULL, 0), ('NEWER', 1, 1, $1, 1)",
    )
    .bind(owner)
    .execute(pool)
    .await
    .expect("lanes");

    let taken = lanes::take_free(pool, owner, LEASE, 10)
        .await
        .expect("taken");
    let held = lanes::held(pool, owner).await.expect("held");
    let status = status::read(pool).await.expect("a status");

    assert_eq!(taken.len(), 1);
    assert_eq!(held.len(), 1);
    assert_eq!(status.lanes.len(), 1);
}
