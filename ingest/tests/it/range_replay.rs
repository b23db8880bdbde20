//! Replay of a time range: what is missing or dead is applied, what is done is passed over, whoever does it.

use crate::process::Worker;
use crate::world::{LANES, WAIT, World, drain};
use anyhow::{Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tiris_domain::event::{BareSubjects, Kind};
use tiris_domain::ids::UserId;
use tiris_domain::lane::EventStream;
use tiris_domain::states::ReplayStatus;
use tiris_ingest::context::Context;
use tiris_ingest::lane::Lane;
use tiris_ingest::replay::{Replayer, Step};
use tiris_ingest::stream;
use tiris_store::dead_letters::{Actor, discard};
use tiris_store::error::Error;
use tiris_store::replay_jobs::{self, Job, NewJob};
use tiris_testing::{binary, eventually};
use uuid::Uuid;

fn everything() -> NewJob {
    NewJob {
        requested_by: None,
        start_time: DateTime::UNIX_EPOCH,
        end_time: Utc::now() + TimeDelta::hours(1),
        user: None,
        kinds: None,
    }
}

async fn ask(world: &World, job: &NewJob) -> Result<Uuid> {
    Ok(
        replay_jobs::create(&mut *world.pool().acquire().await?, job)
            .await?
            .id,
    )
}

async fn find(world: &World, id: Uuid) -> Result<Job> {
    Ok(replay_jobs::get(&mut *world.pool().acquire().await?, id).await?)
}

/// Works until the job has ended. A step may find nothing while the server still ends a session that had the job.
async fn work(world: &World, id: Uuid) -> Result<Job> {
    let mut replayer = Replayer::new(world.context());
    eventually("the end of the replay", WAIT, async || {
        replayer.step().await?;
        let job = find(world, id).await?;
        ensure!(job.has_ended(), "{job:?}");
        Ok(job)
    })
    .await
}

/// Status and the counts: applied, duplicate, rejected.
async fn done(world: &World, job: &NewJob) -> Result<(String, [i64; 3])> {
    let id = ask(world, job).await?;
    let job = work(world, id).await?;
    Ok((
        job.status.to_string(),
        [job.applied, job.duplicate, job.rejected],
    ))
}

/// Moves the cursors of all lanes to the end without doing anything, so that what was published is missing.
async fn skip_all(world: &World) -> Result<()> {
    for stream in EventStream::ALL {
        let last = world
            .jetstream()
            .get_stream(stream.name())
            .await?
            .cached_info()
            .state
            .last_sequence;
        sqlx::query("UPDATE ingest_lanes SET cursor = $2, fingerprint = NULL WHERE stream = $1")
            .bind(stream.name())
            .bind(i64::try_from(last)?)
            .execute(world.pool())
            .await?;
    }
    Ok(())
}

fn debit(world: &World, amount: &str) -> Value {
    let mut event = world.credit(world.currency, "BTC", amount);
    event["direction"] = json!("debit");
    event
}

async fn send(world: &World, event: &Value) -> Result<u64> {
    world.send(Kind::BalanceUpdated, event).await
}

#[tokio::test]
async fn what_is_missing_or_dead_is_applied_in_order_and_what_is_done_is_passed_over() -> Result<()>
{
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    send(&world, &debit(&world, "5")).await?;
    drain(&mut lane).await;
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'INSUFFICIENT_BALANCE'",
            1,
        )
        .await?;
    // Both are missing: the second needs the first.
    send(&world, &world.credit(world.currency, "BTC", "10")).await?;
    send(&world, &debit(&world, "8")).await?;
    world
        .publish_bytes(
            &Kind::BalanceUpdated.subject_of(world.user),
            b"no event".to_vec(),
        )
        .await?;
    skip_all(&world).await?;
    // The dead debit comes first in the stream, and then there is still too little.
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [2, 1, 2])
    );
    assert_eq!(world.balance(world.currency).await?, "3");
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'INSUFFICIENT_BALANCE'",
            1,
        )
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE class = 'malformed'",
            1,
        )
        .await?;
    world.deposit(world.currency, "BTC", "4").await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [1, 3, 1])
    );
    assert_eq!(world.balance(world.currency).await?, "2");
    let by: String = sqlx::query_scalar(
        "SELECT info->'resolution'->'by'->>'kind' FROM dead_letters WHERE status = 'replayed'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(by, "range_replay");
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [0, 4, 1])
    );
    world
        .expect_count("SELECT count(*) FROM transactions", 5)
        .await
}

#[tokio::test]
async fn what_waits_behind_a_letter_outside_the_range_goes_on_waiting() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    let early = Uuid::now_v7();
    send(&world, &world.credit(early, "BNB", "5")).await?;
    send(&world, &world.credit(world.currency, "BTC", "1")).await?;
    drain(&mut lane).await;
    // Missing, and behind both.
    let last = send(&world, &world.credit(world.currency, "BTC", "1")).await?;
    skip_all(&world).await?;
    let time = world
        .jetstream()
        .get_stream("TRADING")
        .await?
        .get_raw_message(last - 1)
        .await?
        .time;
    let start = DateTime::from_timestamp_nanos(i64::try_from(time.unix_timestamp_nanos())?);
    let later = NewJob {
        start_time: start,
        ..everything()
    };
    assert_eq!(done(&world, &later).await?, ("done".to_owned(), [0, 0, 2]));
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'BEHIND_UNRESOLVED'",
            2,
        )
        .await?;
    // With the one they wait behind in the range, all are tried in order.
    world
        .add_account(world.user, world.trading, early, "BNB")
        .await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [3, 1, 0])
    );
    assert_eq!(world.balance(world.currency).await?, "3");
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 0)
        .await
}

#[tokio::test]
async fn a_replay_takes_only_what_is_asked_for_and_nothing_a_lane_has_not_reached() -> Result<()> {
    let world = World::new().await?;
    let id = world.own_lane().await?;
    let mut lane = Lane::seize(world.context(), id).await?;
    drain(&mut lane).await;
    let signal =
        json!({"signal_type": "buy", "symbol": "ETH/BTC", "confidence": 1, "strategy": "sma"});
    send(&world, &world.credit(world.currency, "BTC", "1")).await?;
    world
        .send(Kind::Signal, &world.with(Kind::Signal, signal))
        .await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [0, 1, 0]),
        "the lane is not there yet"
    );
    for lane in 0..=LANES {
        Lane::seize(
            world.context(),
            tiris_domain::lane::LaneKey {
                stream: EventStream::System,
                lane,
            },
        )
        .await?;
    }
    skip_all(&world).await?;
    let stranger = NewJob {
        user: Some(UserId(Uuid::now_v7())),
        ..everything()
    };
    assert_eq!(
        done(&world, &stranger).await?,
        ("done".to_owned(), [0, 0, 0])
    );
    let early = NewJob {
        end_time: Utc::now() - TimeDelta::hours(1),
        ..everything()
    };
    assert_eq!(done(&world, &early).await?, ("done".to_owned(), [0, 0, 0]));
    let signals = NewJob {
        kinds: Some(vec![Kind::Signal]),
        ..everything()
    };
    assert_eq!(
        done(&world, &signals).await?,
        ("done".to_owned(), [1, 0, 0])
    );
    let own = NewJob {
        user: Some(UserId(world.user)),
        ..everything()
    };
    assert_eq!(done(&world, &own).await?, ("done".to_owned(), [1, 2, 0]));
    assert_eq!(world.balance(world.currency).await?, "2");
    let backwards = NewJob {
        end_time: DateTime::UNIX_EPOCH,
        ..everything()
    };
    let refused = replay_jobs::create(&mut *world.pool().acquire().await?, &backwards).await;
    assert!(
        matches!(
            refused,
            Err(Error::InvalidValue {
                field: "end_time",
                ..
            })
        ),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_replay_goes_on_where_another_worker_stopped_and_counts_nothing_twice() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    for _ in 0..600 {
        let event = world
            .credit(world.currency, "BTC", "1")
            .to_string()
            .into_bytes();
        world
            .jetstream()
            .publish(Kind::BalanceUpdated.subject_of(world.user), event.into())
            .await?;
    }
    let sent = async || {
        let last = world
            .jetstream()
            .get_stream("TRADING")
            .await?
            .cached_info()
            .state
            .last_sequence;
        ensure!(last == 601, "{last}");
        Ok(())
    };
    eventually("all messages", WAIT, sent).await?;
    skip_all(&world).await?;
    let id = ask(&world, &everything()).await?;
    let mut seen = Vec::new();
    while seen.last() != Some(&600) {
        // Each is cut off after one chunk at most; two are at it at once.
        let (mut one, mut other) = (
            Replayer::new(world.context()),
            Replayer::new(world.context()),
        );
        let (first, second) = tokio::join!(one.step(), other.step());
        first?;
        second?;
        let job = find(&world, id).await?;
        ensure!(seen.len() < 100, "no end: {job:?}");
        seen.push(job.applied);
    }
    let job = work(&world, id).await?;
    assert_eq!(
        (job.status, job.applied, job.duplicate, job.rejected),
        (ReplayStatus::Done, 600, 1, 0)
    );
    assert!(
        seen.iter().any(|applied| (1..600).contains(applied)),
        "one chunk took all: {seen:?}"
    );
    assert_eq!(world.balance(world.currency).await?, "601");
    Ok(())
}

#[tokio::test]
async fn a_replayed_event_that_fails_for_an_unforeseen_reason_is_found_and_the_others_are_applied()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    world.fail_on_boom().await?;
    for number in 0..7 {
        let mut event = world.credit(world.currency, "BTC", "1");
        if number == 4 {
            event["message"] = json!("boom");
        }
        send(&world, &event).await?;
    }
    skip_all(&world).await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [6, 1, 1])
    );
    assert_eq!(world.balance(world.currency).await?, "7");
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'INTERNAL'",
            1,
        )
        .await
}

#[tokio::test]
async fn a_replay_of_a_stream_that_was_made_anew_fails_and_says_so() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    drain(&mut lane).await;
    let id = ask(&world, &everything()).await?;
    assert_eq!(Replayer::new(world.context()).step().await?, Step::Worked);
    world.jetstream().delete_stream("TRADING").await?;
    stream::declare(world.jetstream(), &world.settings.streams).await?;
    let job = work(&world, id).await?;
    let reason = job.reason.unwrap_or_default();
    assert!(
        job.status == ReplayStatus::Failed && reason.contains("made anew"),
        "{} {reason}",
        job.status
    );
    Ok(())
}

#[tokio::test]
async fn an_operator_asks_for_a_replay_and_sees_its_end() -> Result<()> {
    let world = World::new().await?;
    let mut worker = Worker::start(world.database.url(), &world.nats.url())?;
    worker.ready().await?;
    send(&world, &world.credit(world.currency, "BTC", "1")).await?;
    world.balance_reaches(world.currency, "1").await?;
    let replay = async |arguments: &[&str]| -> Result<(bool, String)> {
        let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
        command
            .arg("replay")
            .args(arguments)
            .stdin(std::process::Stdio::null());
        let output = command
            .env("DATABASE_URL", world.database.url())
            .output()
            .await?;
        Ok((
            output.status.success(),
            String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?,
        ))
    };
    let range = [
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2100-01-01T00:00:00Z",
    ];
    let (ok, told) = replay(&range).await?;
    ensure!(!ok && told.contains("--yes"), "{told}");
    let (ok, told) = replay(&[&range[..], &["--yes"]].concat()).await?;
    ensure!(
        ok && told.contains("0 events applied, 1 done before, 0 rejected"),
        "{told}"
    );
    let (ok, told) =
        replay(&[&range[..], &["--type", "trading.everything", "--yes"]].concat()).await?;
    ensure!(!ok && told.contains("trading.orders.filled"), "{told}");
    let (ok, told) = replay(&["list", "--json"]).await?;
    let listed: Value = serde_json::from_str(&told)?;
    ensure!(
        ok && listed[0]["status"] == "done" && listed[0]["duplicate"] == 1,
        "{told}"
    );
    let audited: (String, String) = sqlx::query_as(
        "SELECT resource_id, after->>'start_time' FROM audit_logs WHERE action = 'events.replay'",
    )
    .fetch_one(world.pool())
    .await?;
    assert_eq!(listed[0]["id"], audited.0);
    ensure!(
        audited.1.starts_with("2026-01-01T00:00:00"),
        "{}",
        audited.1
    );
    worker.stops().await
}

#[tokio::test]
async fn what_came_by_subjects_that_are_refused_now_and_is_done_gets_no_letter() -> Result<()> {
    let world = World::new().await?;
    let bare = Kind::BalanceUpdated.bare_subject();
    world
        .publish(bare, &world.credit(world.currency, "BTC", "1"))
        .await?;
    let beat = json!({"status": "healthy", "component": "main"});
    world
        .publish(
            Kind::Heartbeat.bare_subject(),
            &world.with(Kind::Heartbeat, beat),
        )
        .await?;
    let done = async || {
        world.expect_count("SELECT count(*) FROM bots", 1).await?;
        world
            .expect_count("SELECT count(*) FROM transactions", 1)
            .await
    };
    world.run_until("both events", done).await?;
    world
        .publish(bare, &world.credit(world.currency, "BTC", "2"))
        .await?;
    let letters = "SELECT count(*) FROM dead_letters WHERE code = 'BARE_SUBJECT'";
    let refusing = || Context {
        bare_subjects: BareSubjects::Refuse,
        ..world.context()
    };
    world
        .run_with(refusing(), "a letter", async || {
            world.expect_count(letters, 1).await
        })
        .await?;
    let id = ask(&world, &everything()).await?;
    let mut replayer = Replayer::new(refusing());
    let job = eventually("the end of the replay", WAIT, async || {
        replayer.step().await?;
        let job = find(&world, id).await?;
        ensure!(job.has_ended(), "{job:?}");
        Ok(job)
    })
    .await?;
    assert_eq!([job.applied, job.duplicate, job.rejected], [0, 2, 1]);
    world
        .expect_count("SELECT count(*) FROM dead_letters", 1)
        .await
}

#[tokio::test]
async fn a_replay_of_one_type_never_overtakes_a_letter_of_another() -> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    let order = |number: u32| {
        let fields = json!({"sub_account_id": world.stock, "order_id": format!("o-{number}"), "symbol": "ETH/BTC",
                            "side": "buy", "type": "limit", "amount": "1", "price": "1", "status": "created"});
        world.with(Kind::OrderCreated, fields)
    };
    world.send(Kind::OrderCreated, &order(1)).await?;
    send(&world, &world.credit(Uuid::now_v7(), "BNB", "5")).await?;
    world.send(Kind::OrderCreated, &order(2)).await?;
    drain(&mut lane).await;
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE blocks", 2)
        .await?;
    let orders = NewJob {
        kinds: Some(vec![Kind::OrderCreated]),
        ..everything()
    };
    assert_eq!(done(&world, &orders).await?, ("done".to_owned(), [0, 1, 1]));
    world
        .expect_count(
            "SELECT count(*) FROM trading_logs WHERE type = 'order_created'",
            1,
        )
        .await?;
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE blocks", 2)
        .await
}

#[tokio::test]
async fn a_letter_a_replay_finds_refused_waits_for_a_person_as_if_its_lane_had_found_it()
-> Result<()> {
    let world = World::new().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    let late = Uuid::now_v7();
    let mut too_early = world.credit(late, "BNB", "100");
    too_early["direction"] = json!("debit");
    send(&world, &too_early).await?;
    send(&world, &world.credit(late, "BNB", "100")).await?;
    drain(&mut lane).await;
    world
        .add_account(world.user, world.trading, late, "BNB")
        .await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [1, 1, 1])
    );
    assert_eq!(world.balance(late).await?, "100");
    world
        .expect_count("SELECT count(*) FROM dead_letters WHERE status = 'open'", 1)
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM dead_letters WHERE code = 'INSUFFICIENT_BALANCE' AND NOT blocks",
            1,
        )
        .await?;
    sqlx::query(
        "UPDATE dead_letters SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL",
    )
    .execute(world.pool())
    .await?;
    drain(&mut lane).await;
    assert_eq!(world.balance(late).await?, "100");
    Ok(())
}

#[tokio::test]
async fn what_a_person_gave_up_stays_given_up() -> Result<()> {
    let world = World::new().await?;
    world.fail_on_boom().await?;
    let mut lane = Lane::seize(world.context(), world.own_lane().await?).await?;
    let mut event = world.credit(world.currency, "BTC", "5");
    event["message"] = json!("boom");
    send(&world, &event).await?;
    drain(&mut lane).await;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            1,
        )
        .await?;
    let id: Uuid = sqlx::query_scalar("SELECT id FROM dead_letters WHERE code = 'INTERNAL'")
        .fetch_one(world.pool())
        .await?;
    let mut connection = world.pool().acquire().await?;
    discard(
        &mut connection,
        id,
        "a test",
        &Actor::Operator("alice".to_owned()),
    )
    .await?;
    sqlx::query("DROP TRIGGER explode ON trading_logs")
        .execute(&mut *connection)
        .await?;
    assert_eq!(
        done(&world, &everything()).await?,
        ("done".to_owned(), [0, 2, 0])
    );
    // The same event once more.
    send(&world, &event).await?;
    drain(&mut lane).await;
    assert_eq!(world.balance(world.currency).await?, "1");
    Ok(())
}
