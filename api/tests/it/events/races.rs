//! Replays of dead letters beside other transactions: what they lock, in which order, and what happens when they lose a race.

use super::fixtures::{store_letter, store_rejected, withdrawal};
use super::letters::LETTERS;
use crate::world::{User, World};
use serde_json::{Value, json};
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

/// Returns the paths and bodies of dry runs of the rejected dead letters, and of the dead letter `id`.
fn dry_runs(id: Uuid) -> [(String, Value); 2] {
    [
        (
            format!("{LETTERS}/replay"),
            json!({"filter": {"class": "rejected"}, "dry_run": true}),
        ),
        (format!("{LETTERS}/{id}/replay"), json!({"dry_run": true})),
    ]
}

/// Returns the paths and bodies of replays of the same.
fn replays(id: Uuid) -> [(String, Value); 2] {
    [
        (
            format!("{LETTERS}/replay"),
            json!({"filter": {"class": "rejected"}}),
        ),
        (format!("{LETTERS}/{id}/replay"), json!({})),
    ]
}

/// Sends a request that waits for what `blocker` has locked. Returns its response, and the ids that `free` selects meanwhile.
async fn post_behind(
    user: &User<'_>,
    blocker: sqlx::Transaction<'static, sqlx::Postgres>,
    (path, body): (String, Value),
    free: &'static str,
) -> (Value, Vec<Uuid>) {
    let meanwhile = async {
        user.world.lock_is_waited_for().await;
        let free: Vec<(Uuid,)> = user.world.rows(free).await;
        blocker.rollback().await.expect("released");
        free.into_iter().map(|(id,)| id).collect()
    };
    let (answer, free) = tokio::join!(user.post(&path, body), meanwhile);
    (answer.data().clone(), free)
}

const FREE_LETTERS: &str = "SELECT id FROM dead_letters FOR UPDATE SKIP LOCKED";
const FREE_ACCOUNTS: &str = "SELECT id FROM sub_accounts FOR UPDATE SKIP LOCKED";

#[tokio::test]
async fn a_dry_run_locks_no_dead_letter() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;
    let one = store_rejected(&ann, &book, 1, "4").await;
    store_rejected(&ann, &book, 2, "5").await;
    // An update would lock it.
    world
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'an update'; END $$; \
             CREATE TRIGGER refuse BEFORE UPDATE ON dead_letters FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;

    for request in dry_runs(one) {
        let blocked = world.lock_account(&book.currency).await;
        let (rehearsed, free) = post_behind(&ann, blocked, request, FREE_LETTERS).await;

        assert_eq!(rehearsed["dry_run"], true);
        assert_eq!(free.len(), 2, "{rehearsed}");
    }
}

#[tokio::test]
async fn replays_claim_event_ids_before_they_lock_accounts() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;
    let first = store_rejected(&ann, &book, 1, "4").await;
    store_rejected(&ann, &book, 2, "5").await;
    let claim = "INSERT INTO processed_events (user_id, event_id, content_hash, stream, stream_seq, outcome) \
                 VALUES ($1, 'e-1', decode(repeat('00', 16), 'hex'), 'TRADING', 99, 'applied')";

    // The last one finds the dead letter closed.
    for request in dry_runs(first).into_iter().chain(replays(first)).take(3) {
        let claimed = world.lock(claim, ann.id.0).await;
        let (replayed, free) = post_behind(&ann, claimed, request, FREE_ACCOUNTS).await;

        assert_eq!(free.len(), 2, "{replayed}");
    }
    assert_eq!(ann.balance(&book.currency).await, "1");
}

#[tokio::test]
async fn a_dry_run_of_many_keeps_no_account_of_another_user_locked() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let theirs = bob.book("grid", "10", "10").await;
    let own = ann.book("grid", "10", "10").await;
    let foreign = withdrawal(ann.id.0, &theirs, 1, "1").to_string();
    let foreign = foreign.into_bytes();
    let refused = "OWNERSHIP_MISMATCH";
    let one = store_letter(&ann, 1, foreign, DeadLetterClass::Rejected, refused).await;
    store_rejected(&ann, &own, 2, "4").await;
    let [many, _] = dry_runs(one);

    let blocked = world.lock_account(&own.currency).await;
    let (rehearsed, free) = post_behind(&ann, blocked, many, FREE_ACCOUNTS).await;

    assert!(free.contains(&theirs.currency.parse().expect("an id")));
    let effects = rehearsed["effects"].as_array().expect("effects");
    assert_eq!(effects[0]["code"], refused);
    assert_eq!(effects[1]["applied"], true);
}

#[tokio::test]
async fn a_replay_that_loses_a_race_is_repeated() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;
    let first = store_rejected(&ann, &book, 1, "4").await;
    // Every second posting fails like a deadlock; a sequence counts on when the transaction is rolled back.
    world
        .execute(
            "CREATE SEQUENCE postings; GRANT USAGE ON SEQUENCE postings TO tiris_api; \
             CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF nextval('postings') % 2 = 1 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40P01'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER lose BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION lose()",
        )
        .await;

    let [many, one] = dry_runs(first);
    let rehearsed = ann.post(&many.0, many.1).await;
    assert_eq!(rehearsed.data()["applied"], 1);
    let rehearsed = ann.post(&one.0, one.1).await;
    assert_eq!(rehearsed.data()["applied"], true);
    let [many, _] = replays(first);
    let replayed = ann.post(&many.0, many.1).await;
    assert_eq!(replayed.data()["applied"], 1);

    assert_eq!(
        world.scalar::<i64>("SELECT last_value FROM postings").await,
        6
    );
    assert_eq!(ann.balance(&book.currency).await, "6");
}

#[tokio::test]
async fn a_dead_letter_waits_behind_none_that_a_dry_run_applied() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;
    for (seq, code) in [(1, "UNKNOWN_SUB_ACCOUNT"), (2, "BEHIND_UNRESOLVED")] {
        let event = withdrawal(ann.id.0, &book, seq, "4").to_string();
        store_letter(
            &ann,
            seq,
            event.into_bytes(),
            DeadLetterClass::Unresolved,
            code,
        )
        .await;
    }

    let many = json!({"filter": {"class": "unresolved"}, "dry_run": true});
    let rehearsed = ann.post(&format!("{LETTERS}/replay"), many).await;

    assert_eq!(rehearsed.data()["applied"], 2);
}
