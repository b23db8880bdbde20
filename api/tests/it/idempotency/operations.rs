//! Every operation that accepts a key.

use super::cases::{Cases, repeatable};
use super::{Keyed, assert_replayed, is_replayed};
use crate::events::fixtures::store_rejected;
use crate::exchanges::Exchanges;
use crate::world::World;
use serde_json::json;
use tiris_domain::ids::new_id;

#[tokio::test]
async fn every_operation_rejects_a_malformed_key() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    let bearer = format!("Bearer {}", admin.token);
    let long = "k".repeat(129);

    for (method, path, _) in repeatable() {
        let path = path.replace("{id}", &new_id().to_string());
        for keys in [
            &[""][..],
            &[long.as_str()],
            &["schlüssel"],
            &["a\tb"],
            &["a", "a"],
        ] {
            let mut headers = vec![
                ("authorization", bearer.as_str()),
                ("content-type", "application/json"),
            ];
            headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));

            let answer = world
                .ask(method.clone(), &path, &headers, Some("{}".to_owned()))
                .await;

            answer.assert_error(400, "INVALID_VALUE");
            answer.assert_details("Idempotency-Key");
            answer.assert_details("128");
        }
    }
}

/// Counts the rows of all tables an operation may write; for updated rows, adds up the transactions that wrote them.
async fn traces(world: &World) -> i64 {
    world.scalar("SELECT (SELECT count(*) FROM audit_logs) + (SELECT count(*) FROM transactions) + (SELECT count(*) FROM trading_logs) \
         + (SELECT count(*) FROM tradings) + (SELECT count(*) FROM sub_accounts) + (SELECT count(*) FROM replay_jobs) \
         + (SELECT count(*) FROM dead_letters WHERE status <> 'open') \
         + (SELECT sum(xmin::text::bigint) FROM tradings)::bigint + (SELECT sum(xmin::text::bigint) FROM sub_accounts)::bigint").await
}

#[tokio::test]
async fn every_operation_with_a_key_takes_effect_once() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let cases = Cases::new(&ann, &root).await;

    let operations = repeatable();
    assert!(operations.len() >= 16, "{}", operations.len());
    for (seq, (method, path, _)) in (1..).zip(operations) {
        let (user, id, body) = cases.of(seq, &method, &path).await;
        let path = path.replace("{id}", &id);
        let body = body.to_string();
        let keyed = Keyed::new(user, "k");

        let before = traces(&world).await;
        let first = keyed.send(&method, &path, &body).await;
        let after = traces(&world).await;
        assert!(after > before, "{method} {path} changes nothing");

        let second = keyed.send(&method, &path, &body).await;
        assert_replayed(&first, &second);
        assert_eq!(traces(&world).await, after, "{method} {path}");

        let other = keyed.send(&method, &path, &format!("{body} ")).await;
        other.assert_error(409, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_dry_run_stores_no_response() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let letter = store_rejected(&ann, &book, 1, "4").await;
    let one = format!("/v1/events/dead-letters/{letter}/replay");
    let many = "/v1/events/dead-letters/replay";
    let filter = json!({"class": "rejected"});
    let keyed = Keyed::new(&root, "k");

    for dry in [true, true, false] {
        let all = json!({"filter": filter, "dry_run": dry}).to_string();
        let answer = keyed.post(many, &all).await;
        assert!(!is_replayed(&answer), "{answer}");
        assert_eq!(answer.data()["dry_run"], dry, "{answer}");

        let answer = keyed.post(&one, &json!({"dry_run": dry}).to_string()).await;
        if dry {
            assert!(!is_replayed(&answer), "{answer}");
            assert_eq!(answer.data()["dry_run"], dry, "{answer}");
        }
    }

    assert_eq!(ann.balance(&book.currency).await, "6");
}
