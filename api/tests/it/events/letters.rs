//! Reading, replaying and discarding dead letters.

use super::audited;
use super::fixtures::{store_letter, store_mismatch, store_rejected};
use crate::world::book::Book;
use crate::world::{User, World, text};
use serde_json::{Value, json};
use tiris_domain::states::DeadLetterClass;

pub(super) const LETTERS: &str = "/v1/events/dead-letters";

#[tokio::test]
async fn a_dead_letter_shows_its_event_and_reason() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let id = store_rejected(&user, &book, 1, "50").await;

    let letter = user.get(&format!("{LETTERS}/{id}")).await;

    let letter = letter.data();
    assert_eq!(letter["class"], "rejected");
    assert_eq!(letter["code"], "INSUFFICIENT_BALANCE");
    let payload: Value = serde_json::from_str(&text(&letter["payload"])).expect("JSON");
    assert_eq!(payload["amount"], "50");
    assert_eq!(letter["payload_base64"], Value::Null);
}

#[tokio::test]
async fn shows_a_binary_payload_as_base64() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let root = world.admin("root").await;
    let bytes = vec![0xff, 0xfe];
    let id = store_letter(&user, 2, bytes, DeadLetterClass::Malformed, "NOT_JSON").await;

    let letter = root.get(&format!("{LETTERS}/{id}")).await;

    assert_eq!(letter.data()["payload"], Value::Null);
    assert_eq!(letter.data()["payload_base64"], "//4=");
}

#[tokio::test]
async fn a_list_omits_long_payloads() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let bytes = vec![b'x'; 10_000];
    let id = store_letter(&user, 3, bytes, DeadLetterClass::Rejected, "INTERNAL").await;

    let listed = user.get(&format!("{LETTERS}?limit=1")).await;
    let whole = user.get(&format!("{LETTERS}/{id}")).await;

    let listed = &listed.list("dead_letters")[0];
    assert_eq!(listed["payload_omitted"], true);
    assert_eq!(listed["payload"], Value::Null);
    assert_eq!(text(&whole.data()["payload"]).len(), 10_000);
    // The reason of an internal error is for operators only.
    assert_ne!(whole.data()["reason"], "a test");
}

#[tokio::test]
async fn users_read_their_dead_letters_and_admins_all() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let id = store_rejected(&ann, &book, 1, "50").await;
    let malformed = store_letter(&ann, 2, vec![0xff], DeadLetterClass::Malformed, "NOT_JSON").await;

    for (user, count) in [(&ann, 2), (&bob, 0), (&root, 2)] {
        let listed = user.get(&format!("{LETTERS}?user_id={}", ann.id.0)).await;
        assert_eq!(listed.list("dead_letters").len(), count, "{listed}");
    }
    let stranger = bob.get(&format!("{LETTERS}/{id}")).await;
    stranger.assert_error(404, "NOT_FOUND");

    let filter = "class=malformed&status=open&include_total=true&limit=1";
    let page = root.get(&format!("{LETTERS}?{filter}")).await;
    assert_eq!(page.data()["pagination"]["total"], 1);
    assert_eq!(page.list("dead_letters")[0]["id"], json!(malformed));
    let wrong = root.get(&format!("{LETTERS}?class=lost")).await;
    wrong.assert_error(400, "INVALID_VALUE");
}

/// Stores a dead letter that withdraws this amount, and returns the path of its replay.
async fn replay_of(user: &User<'_>, book: &Book, amount: &str) -> String {
    let id = store_rejected(user, book, 1, amount).await;
    format!("{LETTERS}/{id}/replay")
}

#[tokio::test]
async fn a_dry_run_reports_balances_without_changing_them() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "15").await;
    let replay = replay_of(&ann, &book, "12").await;

    let rehearsed = root.post(&replay, json!({"dry_run": true})).await;

    let data = rehearsed.data();
    assert_eq!(data["applied"], true);
    assert_eq!(data["dry_run"], true);
    let account = &data["accounts"][0];
    assert_eq!(account["sub_account_id"], json!(book.currency));
    assert_eq!(account["balance_before"], "15");
    assert_eq!(account["balance_after"], "3");
    assert_eq!(ann.balance(&book.currency).await, "15");
    assert!(audited(&world, "dead_letter.replay").await.is_empty());
}

#[tokio::test]
async fn a_replay_has_the_effect_of_its_dry_run_once() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "15").await;
    let replay = replay_of(&ann, &book, "12").await;
    let discard = replay.replace("/replay", "/discard");
    let rehearsed = root.post(&replay, json!({"dry_run": true})).await;

    let done = root.post(&replay, json!({})).await;

    let data = done.data();
    assert_eq!(data["accounts"], rehearsed.data()["accounts"]);
    assert_eq!(data["dry_run"], false);
    let posting = text(&data["postings"][0]["transaction_id"]);
    let posting = ann.get(&format!("/v1/transactions/{posting}")).await;
    assert_eq!(posting.data()["amount"], "12");
    assert_eq!(posting.data()["event_id"], "e-1");
    for again in [
        root.post(&replay, json!({})).await,
        root.post(&discard, json!({"reason": "x"})).await,
    ] {
        again.assert_error(409, "LETTER_NOT_OPEN");
    }
    assert_eq!(ann.balance(&book.currency).await, "3");
}

#[tokio::test]
async fn a_replay_shows_its_admin_to_admins_only() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "15").await;
    let replay = replay_of(&ann, &book, "12").await;
    let letter = replay.trim_end_matches("/replay");
    root.post(&replay, json!({})).await.data();

    let of_user = ann.get(letter).await;
    let of_admin = root.get(letter).await;

    assert_eq!(of_user.data()["status"], "replayed");
    assert_eq!(of_user.data()["info"], json!({}));
    let by = &of_admin.data()["info"]["resolution"]["by"];
    assert_eq!(by, &json!({"kind": "admin", "id": root.id.0}));
}

#[tokio::test]
async fn users_see_why_they_discarded_a_dead_letter_and_not_why_an_admin_did() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let why = json!({"reason": "a mistake of mine"});
    let own = store_rejected(&ann, &book, 1, "50").await;
    let of_admin = store_rejected(&ann, &book, 2, "50").await;
    for (user, id) in [(&ann, own), (&root, of_admin)] {
        let discard = format!("{LETTERS}/{id}/discard");
        user.post(&discard, why.clone()).await.data();
    }

    let shown = ann.get(&format!("{LETTERS}/{own}")).await;
    let hidden = ann.get(&format!("{LETTERS}/{of_admin}")).await;

    let resolution = &shown.data()["info"]["resolution"];
    assert_eq!(resolution["reason"], why["reason"]);
    let by = json!({"kind": "owner", "id": ann.id.0});
    assert_eq!(resolution["by"], by);
    assert_eq!(hidden.data()["info"], json!({}));
}

#[tokio::test]
async fn only_admins_see_a_dead_letter_on_a_subject_without_a_user() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "15").await;
    let id = store_rejected(&ann, &book, 1, "12").await;
    world
        .execute(
            "UPDATE dead_letters SET class = 'malformed', code = 'BARE_SUBJECT', user_id = NULL, \
             subject = 'trading.balance.updated'",
        )
        .await;
    let replay = format!("{LETTERS}/{id}/replay");

    for answer in [
        ann.get(&format!("{LETTERS}/{id}")).await,
        ann.post(&replay, json!({})).await,
        ann.post(&format!("{LETTERS}/{id}/discard"), json!({"reason": "x"}))
            .await,
    ] {
        answer.assert_error(404, "NOT_FOUND");
    }
    let listed = ann.get(LETTERS).await;
    assert_eq!(listed.list("dead_letters").len(), 0);
    let many = json!({"filter": {"class": "malformed"}});
    let many = ann.post(&format!("{LETTERS}/replay"), many).await;
    assert_eq!(many.data()["tried"], 0);

    let found = root.get(&format!("{LETTERS}/{id}")).await;
    assert_eq!(found.data()["user_id"], Value::Null);
    let rehearsed = root.post(&replay, json!({"dry_run": true})).await;
    assert_eq!(rehearsed.data()["user_id"], json!(ann.id.0));
    assert_eq!(rehearsed.data()["published_by"], Value::Null);
}

#[tokio::test]
async fn audits_a_replay_that_is_rejected_again() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    let replay = replay_of(&ann, &book, "12").await;

    let too_early = root.post(&replay, json!({})).await;
    assert_eq!(too_early.data()["applied"], false);
    assert_eq!(too_early.data()["code"], "INSUFFICIENT_BALANCE");

    ann.deposit(&book.currency, "5").await.data();
    root.post(&replay, json!({})).await.data();
    let failed = root.post(&replay, json!({})).await;
    failed.assert_error(409, "LETTER_NOT_OPEN");
    let malformed = root.post(&replay, json!({"dryrun": true})).await;
    malformed.assert_error(400, "INVALID_REQUEST");

    let letter = replay.split('/').nth(4).map(str::to_owned);
    let row = (Some(root.id.0), letter);
    let rows = audited(&world, "dead_letter.replay").await;
    assert_eq!(rows, [row.clone(), row]);
}

/// Stores withdrawals of 6, 6 and 4 from a balance of 10, and a malformed message.
async fn store_several(user: &User<'_>, book: &Book) {
    for (seq, amount) in [(1, "6"), (2, "6"), (3, "4")] {
        store_rejected(user, book, seq, amount).await;
    }
    let bytes = b"no event".to_vec();
    store_letter(user, 9, bytes, DeadLetterClass::Malformed, "NOT_JSON").await;
}

#[tokio::test]
async fn replays_many_dead_letters_in_order() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    store_several(&ann, &book).await;
    let replay = format!("{LETTERS}/replay");
    let filter = json!({"class": "rejected", "user_id": ann.id.0});

    let dry_run = json!({"filter": filter, "dry_run": true});
    let rehearsed = root.post(&replay, dry_run).await;
    let effects = rehearsed.list("effects").iter();
    let applied: Vec<&Value> = effects.map(|effect| &effect["applied"]).collect();
    assert_eq!(applied, [true, false, true]);
    assert_eq!(ann.balance(&book.currency).await, "10");

    let done = root.post(&replay, json!({"filter": filter})).await;
    assert_eq!(done.data()["applied"], 2);
    assert_eq!(done.data()["left"], 1);
    assert_eq!(ann.balance(&book.currency).await, "0");
    assert_eq!(audited(&world, "dead_letters.replay").await.len(), 1);
}

#[tokio::test]
async fn a_dead_letter_of_another_user_is_no_cursor() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let root = world.admin("root").await;
    let theirs = ann.book("grid", "10", "10").await;
    let own = bob.book("grid", "10", "10").await;
    let foreign = store_rejected(&ann, &theirs, 1, "4").await;
    let first = store_rejected(&bob, &own, 2, "4").await;
    store_rejected(&bob, &own, 3, "5").await;
    let replay = format!("{LETTERS}/replay");
    let after = |cursor, dry_run| json!({"filter": {"class": "rejected"}, "cursor": cursor, "dry_run": dry_run});

    for dry_run in [true, false] {
        let refused = bob.post(&replay, after(foreign, dry_run)).await;
        refused.assert_error(400, "INVALID_VALUE");
        refused.assert_details("cursor");
    }
    let by_admin = root.post(&replay, after(foreign, true)).await;
    assert_eq!(by_admin.data()["tried"], 2);
    let done = bob.post(&replay, after(first, false)).await;

    assert_eq!(done.data()["tried"], 1);
    assert_eq!(bob.balance(&own.currency).await, "5");
}

/// Replays of many dead letters that a user may run at once.
const AT_ONCE: i64 = 2;

#[tokio::test]
async fn a_user_runs_few_replays_of_many_at_once() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book = ann.book("grid", "10", "10").await;
    store_rejected(&ann, &book, 1, "4").await;
    let replay = format!("{LETTERS}/replay");
    let body = |dry_run| json!({"filter": {"class": "rejected"}, "dry_run": dry_run});
    let blocked = world.lock_account(&book.currency).await;

    let third = async {
        world.locks_are_waited_for(AT_ONCE).await;
        let refused = [
            ann.post(&replay, body(true)).await,
            ann.post(&replay, body(false)).await,
        ];
        let of_other = bob.post(&replay, body(false)).await;
        blocked.rollback().await.expect("released");
        (refused, of_other)
    };
    let running = (ann.post(&replay, body(true)), ann.post(&replay, body(true)));
    let (first, second, (refused, of_other)) = tokio::join!(running.0, running.1, third);

    for refused in refused {
        refused.assert_error(429, "RATE_LIMITED");
        refused.assert_details("at most 2 replays of many dead letters at once");
    }
    of_other.data();
    first.data();
    second.data();
    ann.post(&replay, body(false)).await.data();
}

#[tokio::test]
async fn discards_the_dead_letters_of_a_filter() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "10").await;
    store_several(&ann, &book).await;

    let discard = json!({"filter": {"class": "rejected"}, "reason": "a test"});
    let discarded = root.post(&format!("{LETTERS}/discard"), discard).await;

    assert_eq!(discarded.data()["discarded"], 3);
    assert_eq!(discarded.data()["left"], 0);
    // The malformed message.
    let open = root.get(&format!("{LETTERS}?status=open")).await;
    assert_eq!(open.list("dead_letters").len(), 1);
    assert_eq!(audited(&world, "dead_letters.discard").await.len(), 1);
}

#[tokio::test]
async fn a_replay_of_many_needs_a_filter() {
    let world = World::start().await;
    let root = world.admin("root").await;

    for wrong in [
        json!({"filter": {}}),
        json!({"filter": {"klass": "rejected"}}),
        json!({}),
        json!({"filter": 1}),
    ] {
        let answer = root.post(&format!("{LETTERS}/replay"), wrong).await;
        answer.assert_status(400);
    }
}

#[tokio::test]
async fn users_replay_and_discard_only_their_own_dead_letters() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book = ann.book("grid", "10", "15").await;
    let replay = replay_of(&ann, &book, "12").await;
    let discarded = store_rejected(&ann, &book, 2, "50").await;
    let discard = format!("{LETTERS}/{discarded}/discard");
    let why = json!({"reason": "a test"});

    for stranger in [
        bob.post(&replay, json!({})).await,
        bob.post(&replay, json!({"dry_run": true})).await,
        bob.post(&discard, why.clone()).await,
    ] {
        stranger.assert_error(404, "NOT_FOUND");
    }
    let rehearsed = ann.post(&replay, json!({"dry_run": true})).await;
    assert_eq!(rehearsed.data()["user_id"], json!(ann.id.0));
    assert_eq!(rehearsed.data()["published_by"], json!(ann.id.0));
    assert_eq!(ann.balance(&book.currency).await, "15");
    ann.post(&replay, json!({})).await.data();
    ann.post(&discard, why.clone()).await.data();
    bob.post(&replay, json!({}))
        .await
        .assert_error(404, "NOT_FOUND");
    bob.post(&discard, why).await.assert_error(404, "NOT_FOUND");

    assert_eq!(ann.balance(&book.currency).await, "3");
    for (action, letter) in [
        ("dead_letter.replay", replay.split('/').nth(4)),
        ("dead_letter.discard", discard.split('/').nth(4)),
    ] {
        let row = (Some(ann.id.0), letter.map(str::to_owned));
        assert_eq!(audited(&world, action).await, [row]);
    }
}

#[tokio::test]
async fn bulk_operations_of_users_select_only_their_own_dead_letters() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let theirs = ann.book("grid", "10", "10").await;
    let own = bob.book("grid", "10", "10").await;
    store_rejected(&ann, &theirs, 1, "4").await;
    store_rejected(&bob, &own, 2, "4").await;

    for filter in [json!({"class": "rejected"}), json!({"user_id": ann.id.0})] {
        let replay = json!({"filter": filter});
        bob.post(&format!("{LETTERS}/replay"), replay).await.data();
        let discard = json!({"filter": filter, "reason": "a test"});
        bob.post(&format!("{LETTERS}/discard"), discard)
            .await
            .data();
    }

    assert_eq!(ann.balance(&theirs.currency).await, "10");
    assert_eq!(bob.balance(&own.currency).await, "6");
    let open = ann.get(&format!("{LETTERS}?status=open")).await;
    assert_eq!(open.list("dead_letters").len(), 1);
}

#[tokio::test]
async fn the_event_of_another_publisher_is_hidden_and_needs_an_admin() {
    let world = World::start().await;
    let mallory = world.user("mallory").await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = ann.book("grid", "10", "15").await;
    let id = store_mismatch(&mallory, ann.id.0, &book, 1).await;
    let replay = format!("{LETTERS}/{id}/replay");
    let accepting = json!({"accept_user": ann.id.0});

    let hidden = ann.get(&format!("{LETTERS}/{id}")).await;
    hidden.assert_error(404, "NOT_FOUND");
    let own = ann.get(LETTERS).await;
    assert_eq!(own.list("dead_letters").len(), 0, "{own}");
    let of_publisher = mallory.get(LETTERS).await;
    assert_eq!(of_publisher.list("dead_letters").len(), 1);
    let claimed = root.get(&format!("{LETTERS}?user_id={}", ann.id.0)).await;
    assert_eq!(claimed.list("dead_letters").len(), 0);
    let of_claimed = ann.post(&replay, accepting.clone()).await;
    of_claimed.assert_error(403, "ACCESS_DENIED");
    let of_publisher = mallory.post(&replay, accepting.clone()).await;
    of_publisher.assert_error(403, "ACCESS_DENIED");
    for user in [&mallory, &root] {
        let unaccepted = user.post(&replay, json!({})).await;
        unaccepted.assert_error(409, "ACCEPT_USER_REQUIRED");
    }
    let many = json!({"filter": {"class": "malformed"}});
    let many = root.post(&format!("{LETTERS}/replay"), many).await;
    assert_eq!(many.data()["skipped"], 1);
    let wrong = root
        .post(&replay, json!({"accept_user": mallory.id.0}))
        .await;
    wrong.assert_error(400, "INVALID_VALUE");

    let rehearsal = json!({"accept_user": ann.id.0, "dry_run": true});
    let rehearsed = root.post(&replay, rehearsal).await;
    assert_eq!(rehearsed.data()["user_id"], json!(ann.id.0));
    assert_eq!(rehearsed.data()["published_by"], json!(mallory.id.0));
    assert_eq!(ann.balance(&book.currency).await, "15");
    root.post(&replay, accepting).await.data();
    assert_eq!(ann.balance(&book.currency).await, "14");
}
