//! Dead letters in the hands of a person: what a replay would do, does and refuses, by function and by command.

use crate::world::{World, drain};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tiris_domain::event::{BareSubjects, Kind};
use tiris_domain::states::DeadLetterClass;
use tiris_ingest::lane::Lane;
use tiris_store::dead_letters::{
    Actor, Filter, Replay, ReplayOptions, discard, rehearse_all, replay, replay_all, replay_some,
};
use tiris_store::error::{Conflict, Error};
use tiris_testing::binary;
use uuid::Uuid;

/// The user's lane with a credit of 1 BTC done, refusing subjects without a user.
async fn a_lane(world: &World) -> Result<Lane> {
    let mut context = world.context();
    context.bare_subjects = BareSubjects::Refuse;
    let mut lane = Lane::seize(context, world.own_lane().await?).await?;
    drain(&mut lane).await;
    Ok(lane)
}

fn options() -> ReplayOptions {
    ReplayOptions {
        round: false,
        dry_run: false,
        by: Actor::Operator("alice".to_owned()),
    }
}

async fn letter(world: &World, code: &str) -> Result<Uuid> {
    let letters = sqlx::query_scalar("SELECT id FROM dead_letters WHERE code = $1").bind(code);
    Ok(letters.fetch_one(world.pool()).await?)
}

async fn replayed(world: &World, id: Uuid, options: &ReplayOptions) -> Result<Replay, Error> {
    let mut transaction = world.pool().begin().await?;
    let done = replay(&mut transaction, id, options, rand::random()).await?;
    if options.dry_run {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(done)
}

fn refusal(replay: &Replay) -> Option<&'static str> {
    replay.refused.as_ref().map(|cause| cause.code())
}

fn debit(world: &World, amount: &str) -> Value {
    let mut event = world.credit(world.currency, "BTC", amount);
    event["direction"] = json!("debit");
    event
}

#[tokio::test]
async fn a_dry_run_says_what_happens_to_which_balance_and_the_replay_does_just_that_once()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    world
        .send(Kind::BalanceUpdated, &debit(&world, "5"))
        .await?;
    drain(&mut lane).await;
    let id = letter(&world, "INSUFFICIENT_BALANCE").await?;
    let refused = replayed(&world, id, &options()).await?;
    assert_eq!(refusal(&refused), Some("INSUFFICIENT_BALANCE"));
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "9"),
        )
        .await?;
    drain(&mut lane).await;
    let rehearsed = replayed(
        &world,
        id,
        &ReplayOptions {
            dry_run: true,
            ..options()
        },
    )
    .await?;
    let [change] = rehearsed.accounts.as_slice() else {
        panic!("{rehearsed:?}")
    };
    assert_eq!(
        (change.balance.0.to_string(), change.balance.1.to_string()),
        ("10".into(), "5".into())
    );
    assert_eq!(
        (
            change.account.0,
            rehearsed.postings.len(),
            refusal(&rehearsed)
        ),
        (world.currency, 1, None)
    );
    assert_eq!(world.balance(world.currency).await?, "10");
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            1,
        )
        .await?;
    let done = replayed(&world, id, &options()).await?;
    assert_eq!(done.accounts, rehearsed.accounts);
    assert_eq!(world.balance(world.currency).await?, "5");
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            0,
        )
        .await?;
    let by: Value =
        sqlx::query_scalar("SELECT info->'resolution'->'by' FROM dead_letters WHERE id = $1")
            .bind(id)
            .fetch_one(world.pool())
            .await?;
    assert_eq!(by, json!({"kind": "operator", "name": "alice"}));
    let again = replayed(&world, id, &options()).await;
    assert!(
        matches!(again, Err(Error::Conflict(Conflict::LetterNotOpen))),
        "{again:?}"
    );
    let mut transaction = world.pool().begin().await?;
    let given_up = discard(&mut transaction, id, "why", &options().by).await;
    assert!(
        matches!(given_up, Err(Error::Conflict(Conflict::LetterNotOpen))),
        "{given_up:?}"
    );
    let nobody = replay(&mut transaction, Uuid::now_v7(), &options(), 0).await;
    assert!(matches!(nobody, Err(Error::NotFound(_))), "{nobody:?}");
    Ok(())
}

#[tokio::test]
async fn a_letter_is_replayed_only_as_what_it_is() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let mut fine = world.credit(world.currency, "BTC", "0.1234567890125");
    fine["event_id"] = json!("fine");
    let mut reused = world.credit(world.currency, "BTC", "3");
    reused["event_id"] = json!("fine");
    for event in [
        &fine,
        &reused,
        &world.credit(Uuid::now_v7(), "BTC", "1"),
        &debit(&world, "0.5"),
    ] {
        world.send(Kind::BalanceUpdated, event).await?;
    }
    let foreign = Kind::BalanceUpdated.subject_of(Uuid::from_u128(world.user.as_u128() ^ 1));
    // Both are in the lane of whoever stands in the subject; every lane writes the same letters.
    world
        .publish(&foreign, &world.credit(world.currency, "BTC", "4"))
        .await?;
    world
        .publish(
            Kind::BalanceUpdated.bare_subject(),
            &world.credit(world.currency, "BTC", "8"),
        )
        .await?;
    let mut context = world.context();
    context.bare_subjects = BareSubjects::Refuse;
    drain(&mut lane).await;
    world
        .run_with(context, "six letters", async || {
            world
                .expect_count("SELECT count(*) FROM dead_letters", 6)
                .await
        })
        .await?;
    let places = letter(&world, "TOO_MANY_DECIMALS").await?;
    assert_eq!(
        refusal(&replayed(&world, places, &options()).await?),
        Some("TOO_MANY_DECIMALS")
    );
    let rounded = replayed(
        &world,
        places,
        &ReplayOptions {
            round: true,
            ..options()
        },
    )
    .await?;
    assert_eq!(
        (refusal(&rounded), world.balance(world.currency).await?),
        (None, "1.123456789012".to_owned())
    );
    for (code, refused) in [
        ("EVENT_ID_REUSED", Some("EVENT_ID_REUSED")),
        ("UNKNOWN_SUB_ACCOUNT", Some("UNKNOWN_SUB_ACCOUNT")),
        ("BEHIND_UNRESOLVED", Some("BEHIND_UNRESOLVED")),
        ("SUBJECT_MISMATCH", None),
        ("BARE_SUBJECT", None),
    ] {
        let done = replayed(&world, letter(&world, code).await?, &options()).await?;
        assert_eq!(refusal(&done), refused, "{code}");
    }
    assert_eq!(world.balance(world.currency).await?, "13.123456789012");
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 3)
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            2,
        )
        .await
}

#[tokio::test]
async fn many_letters_are_replayed_in_stream_order_until_nothing_more_applies() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let events = [
        debit(&world, "6"),
        world.credit(world.currency, "BTC", "10.0000000000001"),
        debit(&world, "4.5"),
        debit(&world, "7"),
    ];
    for event in &events {
        world.send(Kind::BalanceUpdated, event).await?;
    }
    drain(&mut lane).await;
    let rounding = ReplayOptions {
        round: true,
        ..options()
    };
    let filter = Filter {
        user_id: Some(world.user),
        ..Filter::default()
    };
    let (rehearsed, end) = rehearse_all(world.pool(), &filter, &rounding, None, 10).await?;
    assert_eq!(end, None);
    let refused: Vec<_> = rehearsed.effects.iter().map(refusal).collect();
    let too_much = Some("INSUFFICIENT_BALANCE");
    assert_eq!(
        (refused, rehearsed.left),
        (vec![too_much, None, None, too_much], 4)
    );
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 4)
        .await?;
    let other = Filter {
        class: Some(DeadLetterClass::Malformed),
        ..filter.clone()
    };
    assert_eq!(
        replay_all(world.pool(), &other, &rounding, |_| ())
            .await?
            .tried,
        0
    );
    // Portion by portion it gets past what stays refused.
    let (first, next) = replay_some(world.pool(), &filter, &rounding, None, 1).await?;
    assert_eq!((first.tried, first.applied, first.left), (1, 0, 4));
    let (second, _) = replay_some(world.pool(), &filter, &rounding, next, 1).await?;
    assert_eq!((second.tried, second.applied, second.left), (1, 1, 3));
    let done = replay_all(world.pool(), &filter, &rounding, |_| ()).await?;
    assert_eq!((done.applied, done.left), (2, 1));
    assert_eq!(world.balance(world.currency).await?, "0.5");
    world.expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open' AND convert_from(payload, 'UTF8') LIKE '%\"7\"%'", 1).await
}

#[tokio::test]
async fn the_command_lists_shows_replays_and_discards() -> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    world
        .send(Kind::BalanceUpdated, &debit(&world, "2"))
        .await?;
    world
        .send(Kind::BalanceUpdated, &debit(&world, "50"))
        .await?;
    world
        .publish_bytes(
            &Kind::BalanceUpdated.subject_of(world.user),
            b"\xff".to_vec(),
        )
        .await?;
    drain(&mut lane).await;
    let run = async |arguments: &[&str]| -> Result<(bool, String, String)> {
        let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
        command
            .arg("dlq")
            .args(arguments)
            .env("DATABASE_URL", world.database.url());
        let output = command.stdin(std::process::Stdio::null()).output().await?;
        Ok((
            output.status.success(),
            String::from_utf8(output.stdout)?,
            String::from_utf8(output.stderr)?,
        ))
    };
    let (ok, listed, _) = run(&["list"]).await?;
    ensure!(
        ok && listed.matches("INSUFFICIENT_BALANCE").count() == 2 && listed.contains("NOT_JSON"),
        "{listed}"
    );
    let (_, lines, _) = run(&["list", "--class", "rejected", "--json", "--limit", "1"]).await?;
    let newest: Value = serde_json::from_str(lines.trim())?;
    let payload: Value = serde_json::from_str(newest["payload"].as_str().unwrap_or_default())?;
    assert_eq!(payload["amount"], "50");
    let id = newest["id"].as_str().unwrap_or_default().to_owned();
    let (ok, shown, _) = run(&["show", &id]).await?;
    ensure!(
        ok && shown.contains("\"amount\": \"50\"") && shown.contains("trading.balance.updated."),
        "{shown}"
    );
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "5"),
        )
        .await?;
    drain(&mut lane).await;
    let (ok, told, why) = run(&["replay", "--all"]).await?;
    ensure!(
        !ok && why.contains("--yes") && told.is_empty(),
        "{told}{why}"
    );
    let (ok, told, _) = run(&["replay", "--all", "--dry-run"]).await?;
    ensure!(
        ok && told.contains("1 of the first 3 letters would apply") && told.contains('4'),
        "{told}"
    );
    assert_eq!(world.balance(world.currency).await?, "6");
    let (ok, told, why) = run(&["replay", "--all", "--yes"]).await?;
    ensure!(
        ok && told.contains("1 letters are in the books now, 2 stay open"),
        "{told}{why}"
    );
    assert_eq!(world.balance(world.currency).await?, "4");
    let (ok, _, why) = run(&["replay", &id]).await?;
    ensure!(!ok && why.contains("stay open"), "{why}");
    let (ok, _, why) = run(&["discard", &id, "--reason", ""]).await?;
    ensure!(!ok && why.contains("1 to 500 characters"), "{why}");
    let (ok, told, why) = run(&["discard", &id, "--reason", "a test", "--yes"]).await?;
    ensure!(
        ok && told.contains("1 letters are discarded"),
        "{told}{why}"
    );
    let (ok, _, why) = run(&["show", &Uuid::now_v7().to_string()]).await?;
    ensure!(!ok && why.contains("not found"), "{why}");
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'discarded'",
            1,
        )
        .await?;
    let audited: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT action, resource_id FROM audit_logs WHERE user_id IS NULL AND agent LIKE 'tiris-ingest by %_@_%' \
         ORDER BY timestamp, id",
    )
    .fetch_all(world.pool())
    .await?;
    let named = |name: &str| (name.to_owned(), Some(id.clone()));
    let expected = [
        ("dead_letters.replay".to_owned(), None),
        named("dead_letter.replay"),
        named("dead_letter.discard"),
    ];
    assert_eq!(audited, expected);
    Ok(())
}

#[tokio::test]
async fn a_letter_whose_event_was_given_up_by_another_letter_is_not_said_to_be_in_the_books()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = a_lane(&world).await?;
    let event = debit(&world, "50");
    world.send(Kind::BalanceUpdated, &event).await?;
    drain(&mut lane).await;
    let given_up = letter(&world, "INSUFFICIENT_BALANCE").await?;
    discard(
        &mut *world.pool().acquire().await?,
        given_up,
        "why",
        &options().by,
    )
    .await?;
    world
        .publish(Kind::BalanceUpdated.bare_subject(), &event)
        .await?;
    let mut context = world.context();
    context.bare_subjects = BareSubjects::Refuse;
    world
        .run_with(context, "the second letter", async || {
            world
                .expect_count(
                    "SELECT count(*) FROM dead_letters WHERE code = 'BARE_SUBJECT'",
                    1,
                )
                .await
        })
        .await?;
    let bare = letter(&world, "BARE_SUBJECT").await?;
    let told = replayed(&world, bare, &options()).await?;
    assert_eq!(
        (refusal(&told), told.was_applied),
        (Some("EVENT_DISCARDED"), false)
    );
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 1)
        .await
}
