//! Replay and discard of dead letters by an operator, by function and by command.

use crate::world::{World, drain};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tiris_domain::states::DeadLetterClass;
use tiris_ingest::lane::Lane;
use tiris_store::dead_letters::{
    Actor, Filter, Replay, ReplayOptions, discard, list, rehearse_all, rehearse_one, replay,
    replay_all, replay_some,
};
use tiris_store::error::{Conflict, Error};
use uuid::Uuid;

/// Returns the user's lane with a credit of 1 BTC applied; it refuses subjects without a user.
async fn refusing_lane(world: &World) -> Result<Lane> {
    world.lane_with(world.refusing()).await
}

fn alice() -> Actor {
    Actor::Operator("alice".to_owned())
}

fn options() -> ReplayOptions {
    ReplayOptions {
        accept_user: None,
        by: alice(),
        recorded_as: None,
    }
}

async fn replayed(world: &World, id: Uuid, options: &ReplayOptions) -> Result<Replay, Error> {
    let mut transaction = world.service.begin().await?;
    let done = replay(&mut transaction, id, options, rand::random()).await?;
    transaction.commit().await?;
    Ok(done)
}

fn refusal(replay: &Replay) -> Option<&'static str> {
    replay.refused.as_ref().map(|cause| cause.code())
}

/// Creates a dead letter of a debit of 5 BTC, and then a credit of 9 BTC that covers it.
async fn dead_letter_that_applies_now(world: &World) -> Result<Uuid> {
    let mut lane = refusing_lane(world).await?;
    world.send(&world.btc_debit("5")).await?;
    drain(&mut lane).await?;
    let id = world.dead_letter("INSUFFICIENT_BALANCE").await?;
    let refused = replayed(world, id, &options()).await?;
    assert_eq!(refusal(&refused), Some("INSUFFICIENT_BALANCE"));

    world.send(&world.btc_credit("9")).await?;
    drain(&mut lane).await?;
    Ok(id)
}

#[tokio::test]
async fn a_dry_run_reports_what_the_replay_then_does() -> Result<()> {
    let world = World::new().await?;
    let id = dead_letter_that_applies_now(&world).await?;

    let rehearsed = rehearse_one(&world.service, id, &options()).await?;

    assert_eq!(refusal(&rehearsed), None);
    assert_eq!(rehearsed.postings.len(), 1);
    let [change] = rehearsed.accounts.as_slice() else {
        panic!("{rehearsed:?}")
    };
    assert_eq!(change.account.0, world.currency);
    assert_eq!(change.balance.0.to_string(), "10");
    assert_eq!(change.balance.1.to_string(), "5");
    assert_eq!(world.btc().await?, "10");
    world.expect_events("dead", 1).await?;

    let done = replayed(&world, id, &options()).await?;
    assert_eq!(done.accounts, rehearsed.accounts);
    assert_eq!(world.btc().await?, "5");
    world.expect_events("dead", 0).await
}

#[tokio::test]
async fn a_dead_letter_is_replayed_once_and_names_the_operator() -> Result<()> {
    let world = World::new().await?;
    let id = dead_letter_that_applies_now(&world).await?;

    replayed(&world, id, &options()).await?;

    let by: Value =
        sqlx::query_scalar("SELECT info->'resolution'->'by' FROM dead_letters WHERE id = $1")
            .bind(id)
            .fetch_one(world.pool())
            .await?;
    assert_eq!(by, json!({"kind": "operator", "name": "alice"}));
    let again = replayed(&world, id, &options()).await;
    let not_open = matches!(again, Err(Error::Conflict(Conflict::LetterNotOpen)));
    assert!(not_open, "{again:?}");
    let mut connection = world.service.acquire().await?;
    let given_up = discard(&mut connection, id, "why", &alice()).await;
    let not_open = matches!(given_up, Err(Error::Conflict(Conflict::LetterNotOpen)));
    assert!(not_open, "{given_up:?}");
    Ok(())
}

#[tokio::test]
async fn an_unknown_dead_letter_is_not_found() -> Result<()> {
    let world = World::new().await?;

    let replayed = replayed(&world, Uuid::now_v7(), &options()).await;

    assert!(matches!(replayed, Err(Error::NotFound(_))), "{replayed:?}");
    Ok(())
}

/// Creates a dead letter of each code that an operator may replay.
async fn dead_letters_of_every_kind(world: &World) -> Result<()> {
    let mut lane = refusing_lane(world).await?;
    let too_much = world.btc_debit("50");
    let mut reused = world.btc_credit("3");
    reused["event_id"] = too_much["event_id"].clone();
    let early = Uuid::now_v7();
    let unknown = world.credit(early, "BTC", "1");
    let behind = world.debit(early, "BTC", "0.5");
    world.send_all(&[too_much, reused, unknown, behind]).await?;

    // These two are in the lane of the user in the subject.
    let foreign = Uuid::from_u128(world.user.as_u128() ^ 1);
    let foreign = tiris_domain::event::Kind::BalanceUpdated.subject_of(foreign);
    world.publish(&foreign, &world.btc_credit("4")).await?;
    world.send_bare(&world.btc_credit("8")).await?;
    drain(&mut lane).await?;
    world
        .run_with(world.refusing(), "six dead letters", async || {
            world.expect_rows("dead_letters", 6).await
        })
        .await
}

#[tokio::test]
async fn a_replay_applies_only_causes_that_an_operator_may_override() -> Result<()> {
    let world = World::new().await?;
    dead_letters_of_every_kind(&world).await?;

    for (code, refused) in [
        ("EVENT_ID_REUSED", Some("EVENT_ID_REUSED")),
        ("INSUFFICIENT_BALANCE", Some("INSUFFICIENT_BALANCE")),
        ("UNKNOWN_SUB_ACCOUNT", Some("UNKNOWN_SUB_ACCOUNT")),
        ("BEHIND_UNRESOLVED", Some("BEHIND_UNRESOLVED")),
        ("BARE_SUBJECT", None),
    ] {
        let id = world.dead_letter(code).await?;
        let done = replayed(&world, id, &options()).await?;
        assert_eq!(refusal(&done), refused, "{code}");
    }

    assert_eq!(world.btc().await?, "9");
    world.expect_open(5).await?;
    world.expect_events("dead", 3).await
}

/// Creates a dead letter of a debit of 5 BTC on a subject without a user, which is refused. Returns it with the event.
async fn bare_debit(world: &World) -> Result<(Uuid, Value)> {
    let event = world.btc_debit("5");
    world.send_bare(&event).await?;
    world
        .run_with(world.refusing(), "the dead letter", async || {
            world.expect_dead_letters("BARE_SUBJECT", 1).await
        })
        .await?;
    Ok((world.dead_letter("BARE_SUBJECT").await?, event))
}

#[tokio::test]
async fn a_refused_replay_of_a_malformed_dead_letter_claims_no_event() -> Result<()> {
    let world = World::new().await?;
    let (bare, event) = bare_debit(&world).await?;

    let refused = replayed(&world, bare, &options()).await?;
    assert_eq!(refusal(&refused), Some("INSUFFICIENT_BALANCE"));
    world
        .expect_rows("processed_events WHERE outcome <> 'applied'", 0)
        .await?;

    // The same event, published correctly when it can be applied.
    let mut lane = refusing_lane(&world).await?;
    world.send_all(&[world.btc_credit("9"), event]).await?;
    drain(&mut lane).await?;
    assert_eq!(world.btc().await?, "5");
    let again = replayed(&world, bare, &options()).await?;
    ensure!(again.was_applied, "{again:?}");
    Ok(())
}

#[tokio::test]
async fn a_refused_replay_keeps_the_claim_of_another_message() -> Result<()> {
    let world = World::new().await?;
    let (bare, event) = bare_debit(&world).await?;
    let mut lane = refusing_lane(&world).await?;
    world.send(&event).await?;
    drain(&mut lane).await?;
    world.expect_events("dead", 1).await?;

    let refused = replayed(&world, bare, &options()).await?;

    assert_eq!(refusal(&refused), Some("INSUFFICIENT_BALANCE"));
    world.expect_events("dead", 1).await
}

#[tokio::test]
async fn a_refused_event_of_another_publisher_claims_no_event() -> Result<()> {
    let world = World::new().await?;
    let foreign = Uuid::from_u128(world.user.as_u128() ^ 1);
    let foreign = tiris_domain::event::Kind::BalanceUpdated.subject_of(foreign);
    world.publish(&foreign, &world.btc_debit("5")).await?;
    world
        .run_until("the dead letter", async || {
            world.expect_dead_letters("SUBJECT_MISMATCH", 1).await
        })
        .await?;
    let id = world.dead_letter("SUBJECT_MISMATCH").await?;

    let accepting = ReplayOptions {
        accept_user: Some(world.user),
        ..options()
    };
    let refused = replayed(&world, id, &accepting).await?;

    assert_eq!(refusal(&refused), Some("INSUFFICIENT_BALANCE"));
    world
        .expect_rows("processed_events WHERE outcome <> 'applied'", 0)
        .await
}

#[tokio::test]
async fn the_event_of_another_publisher_needs_an_accepted_user() -> Result<()> {
    let world = World::new().await?;
    dead_letters_of_every_kind(&world).await?;
    let id = world.dead_letter("SUBJECT_MISMATCH").await?;
    let publisher = Uuid::from_u128(world.user.as_u128() ^ 1);
    let accepting = |user| ReplayOptions {
        accept_user: Some(user),
        ..options()
    };

    let unaccepted = replayed(&world, id, &options()).await;
    let is_refused = matches!(
        unaccepted,
        Err(Error::Conflict(Conflict::AcceptUserRequired))
    );
    assert!(is_refused, "{unaccepted:?}");
    let wrong = replayed(&world, id, &accepting(publisher)).await;
    assert!(
        matches!(wrong, Err(Error::InvalidValue { .. })),
        "{wrong:?}"
    );
    let other = world.dead_letter("BARE_SUBJECT").await?;
    let needless = replayed(&world, other, &accepting(world.user)).await;
    assert!(
        matches!(needless, Err(Error::InvalidValue { .. })),
        "{needless:?}"
    );

    let done = replayed(&world, id, &accepting(world.user)).await?;
    assert_eq!(refusal(&done), None);
    assert_eq!(done.user, Some(world.user));
    assert_eq!(done.publisher, Some(publisher));
    assert_eq!(world.btc().await?, "5");
    Ok(())
}

#[tokio::test]
async fn a_replay_of_many_skips_events_of_other_publishers() -> Result<()> {
    let world = World::new().await?;
    dead_letters_of_every_kind(&world).await?;
    let malformed = Filter {
        class: Some(DeadLetterClass::Malformed),
        ..Filter::default()
    };

    let (rehearsed, _) = rehearse_all(&world.service, &malformed, &options(), None, 10).await?;
    let done = replay_all(&world.service, &malformed, &options(), |_| ()).await?;

    assert_eq!(rehearsed.skipped, 1);
    assert_eq!(done.skipped, 1);
    assert_eq!(done.applied, 1);
    assert_eq!(done.left, 1);
    assert_eq!(world.btc().await?, "9");
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_on_a_subject_without_a_user_belongs_to_no_user() -> Result<()> {
    let world = World::new().await?;
    dead_letters_of_every_kind(&world).await?;
    let bare = world.dead_letter("BARE_SUBJECT").await?;
    let owner: Option<Uuid> = sqlx::query_scalar("SELECT user_id FROM dead_letters WHERE id = $1")
        .bind(bare)
        .fetch_one(world.pool())
        .await?;
    assert_eq!(owner, None);

    let by_claimed = ReplayOptions {
        by: Actor::Owner(tiris_domain::ids::UserId(world.user)),
        ..options()
    };
    let hidden = replayed(&world, bare, &by_claimed).await;

    assert!(matches!(hidden, Err(Error::NotFound(_))), "{hidden:?}");
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_belongs_to_its_publisher() -> Result<()> {
    let world = World::new().await?;
    dead_letters_of_every_kind(&world).await?;
    let publisher = Uuid::from_u128(world.user.as_u128() ^ 1);
    let mismatch = Filter {
        code: Some("SUBJECT_MISMATCH".to_owned()),
        ..Filter::default()
    };
    let of = |user| Filter {
        user_id: Some(user),
        ..mismatch.clone()
    };

    let mut connection = world.service.acquire().await?;
    let of_claimed = list(&mut connection, &of(world.user), 10).await?;
    let of_publisher = list(&mut connection, &of(publisher), 10).await?;

    assert_eq!(of_claimed, []);
    assert_eq!(of_publisher.len(), 1);
    Ok(())
}

/// Creates dead letters of which a replay applies the second, the third and, after them, the first; returns a filter for them.
async fn several_dead_letters(world: &World) -> Result<Filter> {
    let mut lane = refusing_lane(world).await?;
    world.send(&world.btc_debit("6")).await?;
    world.send_bare(&world.btc_credit("10")).await?;
    let events = [world.btc_debit("4.5"), world.btc_debit("7")];
    world.send_all(&events).await?;
    drain(&mut lane).await?;
    world
        .run_with(
            world.refusing(),
            "the dead letter of the credit",
            async || world.expect_rows("dead_letters", 4).await,
        )
        .await?;
    Ok(Filter {
        stream: Some("TRADING".to_owned()),
        ..Filter::default()
    })
}

#[tokio::test]
async fn a_rehearsal_changes_no_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let filter = several_dead_letters(&world).await?;

    let (rehearsed, next) = rehearse_all(&world.service, &filter, &options(), None, 10).await?;

    assert_eq!(next, None);
    assert_eq!(rehearsed.left, 4);
    let refused: Vec<_> = rehearsed.effects.iter().map(refusal).collect();
    let too_much = Some("INSUFFICIENT_BALANCE");
    assert_eq!(refused, [too_much, None, None, too_much]);
    world.expect_open(4).await
}

#[tokio::test]
async fn replays_in_stream_order_until_none_applies() -> Result<()> {
    let world = World::new().await?;
    let filter = several_dead_letters(&world).await?;
    let pool = &world.service;
    let options = options();
    let unresolved = Filter {
        class: Some(DeadLetterClass::Unresolved),
        ..filter.clone()
    };
    let none = replay_all(pool, &unresolved, &options, |_| ()).await?;
    assert_eq!(none.tried, 0);

    // Page by page it gets past dead letters that stay refused.
    let (first, next) = replay_some(pool, &filter, &options, None, 1).await?;
    assert_eq!(first.tried, 1);
    assert_eq!(first.applied, 0);
    assert_eq!(first.left, 4);
    let (second, _) = replay_some(pool, &filter, &options, next, 1).await?;
    assert_eq!(second.tried, 1);
    assert_eq!(second.applied, 1);
    assert_eq!(second.left, 3);

    let rest = replay_all(pool, &filter, &options, |_| ()).await?;
    assert_eq!(rest.applied, 2);
    assert_eq!(rest.left, 1);
    assert_eq!(world.btc().await?, "0.5");
    let left =
        "dead_letters WHERE status = 'open' AND convert_from(payload, 'UTF8') LIKE '%\"7\"%'";
    world.expect_rows(left, 1).await
}

/// Creates dead letters of a debit of 2 BTC, of a debit of 50 BTC, and of a payload that is not JSON.
async fn three_dead_letters(world: &World) -> Result<Lane> {
    let mut lane = refusing_lane(world).await?;
    let events = [world.btc_debit("2"), world.btc_debit("50")];
    world.send_all(&events).await?;
    world.send_bytes(b"\xff").await?;
    drain(&mut lane).await?;
    Ok(lane)
}

/// Returns the newest rejected dead letter, as the command lists it.
async fn newest_rejected(world: &World) -> Result<Value> {
    let listed = world
        .run(&[
            "dlq", "list", "--class", "rejected", "--json", "--limit", "1",
        ])
        .await?;
    Ok(serde_json::from_str(listed.stdout.trim())?)
}

async fn id_of_newest_rejected(world: &World) -> Result<String> {
    let letter = newest_rejected(world).await?;
    Ok(letter["id"].as_str().context("an id")?.to_owned())
}

#[tokio::test]
async fn the_command_lists_and_shows_dead_letters() -> Result<()> {
    let world = World::new().await?;
    three_dead_letters(&world).await?;

    let listed = world.run(&["dlq", "list"]).await?;
    listed.succeeds(&["NOT_JSON"])?;
    let refused = listed.stdout.matches("INSUFFICIENT_BALANCE").count();
    assert_eq!(refused, 2, "{listed:?}");

    let newest = newest_rejected(&world).await?;
    let payload = newest["payload"].as_str().context("a payload")?;
    let payload: Value = serde_json::from_str(payload)?;
    assert_eq!(payload["amount"], "50");

    let id = newest["id"].as_str().context("an id")?;
    let shown = world.run(&["dlq", "show", id]).await?;
    shown.succeeds(&["\"amount\": \"50\"", "trading.balance.updated."])?;
    let unknown = Uuid::now_v7().to_string();
    let unknown = world.run(&["dlq", "show", &unknown]).await?;
    unknown.fails(&["not found"])
}

#[tokio::test]
async fn the_command_replays_dead_letters() -> Result<()> {
    let world = World::new().await?;
    let mut lane = three_dead_letters(&world).await?;
    world.send(&world.btc_credit("5")).await?;
    drain(&mut lane).await?;

    let unconfirmed = world.run(&["dlq", "replay", "--all"]).await?;
    unconfirmed.fails(&["--yes"])?;
    assert_eq!(unconfirmed.stdout, "");

    let dry_run = world.run(&["dlq", "replay", "--all", "--dry-run"]).await?;
    dry_run.succeeds(&["1 of the first 3 dead letters would be applied", "4"])?;
    assert_eq!(world.btc().await?, "6");

    let done = world.run(&["dlq", "replay", "--all", "--yes"]).await?;
    done.succeeds(&["1 dead letters were applied, 2 stay open"])?;
    assert_eq!(world.btc().await?, "4");

    let id = id_of_newest_rejected(&world).await?;
    let refused = world.run(&["dlq", "replay", &id]).await?;
    refused.fails(&["stay open"])
}

#[tokio::test]
async fn the_command_discards_dead_letters_with_a_reason() -> Result<()> {
    let world = World::new().await?;
    three_dead_letters(&world).await?;
    let id = id_of_newest_rejected(&world).await?;

    let unreasoned = world.run(&["dlq", "discard", &id, "--reason", ""]).await?;
    unreasoned.fails(&["1 to 500 characters"])?;

    let done = world
        .run(&["dlq", "discard", &id, "--reason", "a test", "--yes"])
        .await?;
    done.succeeds(&["1 dead letters were discarded"])?;
    world.expect_events("discarded", 1).await
}

#[tokio::test]
async fn changes_by_commands_are_audited() -> Result<()> {
    let world = World::new().await?;
    three_dead_letters(&world).await?;
    let id = id_of_newest_rejected(&world).await?;

    world.run(&["dlq", "replay", "--all", "--yes"]).await?;
    world.run(&["dlq", "replay", &id]).await?;
    world
        .run(&["dlq", "discard", &id, "--reason", "a test", "--yes"])
        .await?;

    let audited: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT action, resource_id FROM audit_logs WHERE user_id IS NULL AND agent LIKE 'tiris-ingest by %_@_%' \
         ORDER BY timestamp, id",
    )
    .fetch_all(world.pool())
    .await?;
    let expected = [
        ("dead_letters.replay".to_owned(), None),
        ("dead_letter.replay".to_owned(), Some(id.clone())),
        ("dead_letter.discard".to_owned(), Some(id)),
    ];
    assert_eq!(audited, expected);
    Ok(())
}

#[tokio::test]
async fn a_replay_reports_that_the_event_was_discarded() -> Result<()> {
    let world = World::new().await?;
    let mut lane = refusing_lane(&world).await?;
    let event = world.btc_debit("50");
    world.send(&event).await?;
    drain(&mut lane).await?;
    let given_up = world.dead_letter("INSUFFICIENT_BALANCE").await?;
    world.discard(given_up).await?;
    world.send_bare(&event).await?;
    world
        .run_with(world.refusing(), "the second dead letter", async || {
            world.expect_dead_letters("BARE_SUBJECT", 1).await
        })
        .await?;

    let bare = world.dead_letter("BARE_SUBJECT").await?;
    let refused = replayed(&world, bare, &options()).await?;

    assert_eq!(refusal(&refused), Some("EVENT_DISCARDED"));
    ensure!(!refused.was_applied, "{refused:?}");
    world.expect_open(1).await
}
