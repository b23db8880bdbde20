//! The cursors of lanes beside those of their detours.

use tiris_domain::ids::new_id;
use tiris_domain::lane::EventStream;
use tiris_store::lanes;
use tiris_testing::TestDatabase;

/// Narrower limits of a stream must not delete messages that a lane has passed over.
#[tokio::test]
async fn what_is_passed_over_is_not_done() {
    let database = TestDatabase::new().await.expect("a database");
    let pool = database.pool();
    sqlx::query(
        "INSERT INTO ingest_lanes (stream, lane, stream_created_at, cursor) \
         VALUES ('TRADING', 0, 7, 90), ('TRADING', 1, 7, 95)",
    )
    .execute(pool)
    .await
    .expect("lanes");
    sqlx::query(
        "INSERT INTO lane_detours (stream, lane, user_id, stream_created_at, cursor, behind) \
         VALUES ('TRADING', 0, $1, 6, 10, 1), ('TRADING', 1, $1, 7, 40, 1)",
    )
    .bind(new_id())
    .execute(pool)
    .await
    .expect("detours");

    let done = lanes::lowest_cursor(pool, EventStream::Trading, 7).await;

    assert_eq!(done.expect("a cursor"), 40);
}
