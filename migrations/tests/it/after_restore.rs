//! Tests of preparing a restored database.

use crate::book::{count, filled, run, text, value};
use tiris_migrations::after_restore;

#[tokio::test]
async fn a_restore_revokes_sessions_and_frees_lanes() {
    let database = filled().await;
    let state = "INSERT INTO oauth_states (state, provider, redirect_uri, expires_at) VALUES ('s', 'google', 'r', now())";
    run(&database, state).await;

    let restored = after_restore(database.url()).await.expect("prepared");

    assert_eq!(restored.sessions_revoked, 1);
    assert_eq!(restored.logins_deleted, 1);
    assert_eq!(restored.lanes_raised, 1);
    let signed_in = "sessions WHERE revoked_at IS NULL";
    assert_eq!(count(&database, signed_in).await, 0);
    assert_eq!(count(&database, "oauth_states").await, 0);
    let free = "SELECT owner IS NULL AND lease_until IS NULL AND epoch > 1000 AND cursor = 2 FROM ingest_lanes";
    assert!(value::<bool>(&database, free).await);
}

#[tokio::test]
async fn a_restore_republishes_only_open_dead_letters() {
    let database = filled().await;

    let restored = after_restore(database.url()).await.expect("prepared");

    assert_eq!(restored.dead_letters_to_publish, 1);
    let unpublished = "SELECT string_agg(status, ' ') FROM dead_letters WHERE published_at IS NULL";
    assert_eq!(text(&database, unpublished).await, "open");
}

#[tokio::test]
async fn a_second_preparation_changes_nothing() {
    let database = filled().await;
    after_restore(database.url()).await.expect("prepared");

    let again = after_restore(database.url()).await.expect("a second time");

    assert_eq!(again.dead_letters_to_publish, 0);
    assert_eq!(again.sessions_revoked, 0);
}
