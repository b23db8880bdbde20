//! The live stream: every committed change reaches its owner exactly once.

mod orders;
mod stream;

use crate::events::fixtures::store_rejected;
use crate::live::stream::{Frame, Stream, WAIT};
use crate::world::book::Book;
use crate::world::{User, World, text};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration as Time;
use tiris_api::settings::LiveSettings;
use tiris_domain::ids::new_id;
use tiris_runtime::config::NatsConfig;
use tiris_store::ledger::{Entry, Source, apply_batch};
use tiris_testing::{NatsServer, NatsSettings, eventually, free_port};

/// Longer than any test.
const NEVER: Time = Time::from_secs(3_600);

async fn private_nats() -> NatsServer {
    NatsServer::private_with(NatsSettings::default())
        .await
        .expect("a server")
}

fn nats_at(url: &str) -> Option<NatsConfig> {
    Some(NatsConfig {
        servers: vec![url.parse().expect("an address")],
        credentials_file: None,
    })
}

/// Returns a world whose streams are woken only by `nats`.
async fn woken_by(nats: &NatsServer) -> World {
    let world = World::start_with(|settings| {
        settings.live = LiveSettings {
            heartbeat: Time::from_millis(500),
            poll_interval_with_nats: NEVER,
            ..LiveSettings::new(nats_at(&nats.url()))
        };
    })
    .await;

    connected(&world).await;
    world
}

async fn connected(world: &World) {
    eventually("NATS", WAIT, async || {
        let ready = world.anonymous("/health/ready").await;
        if ready.text.contains("nats: connected") {
            Ok(())
        } else {
            Err(ready.text)
        }
    })
    .await
    .expect("connected");
}

async fn deposit(user: &User<'_>, account: &str) -> Value {
    user.deposit(account, "1").await.data().clone()
}

/// Returns the events of one deposit, with the objects of `GET`.
async fn events_of(user: &User<'_>, deposit: &Value) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (kind, time) in [
        ("transaction", "timestamp"),
        ("trading_log", "timestamp"),
        ("sub_account", "updated_at"),
    ] {
        let id = text(&deposit[kind]["id"]);
        let data = user
            .get(&format!("/v1/{}s/{id}", kind.replace('_', "-")))
            .await
            .data()
            .clone();
        let at: DateTime<Utc> = text(&data[time]).parse().expect("a time");
        let id = format!("{}-{kind}-{id}", at.timestamp_micros());
        frames.push(Frame {
            id,
            event: kind.to_owned(),
            data,
            is_comment: false,
        });
    }

    frames
}

/// Returns deposits to book without the API.
fn deposits(user: &User<'_>, book: &Book, account: &str, count: usize) -> Vec<Entry> {
    vec![book.deposit_entry(user.id, account, Source::Bot); count]
}

async fn connect(world: &World) -> PgConnection {
    PgConnection::connect(world.database.url())
        .await
        .expect("connected")
}

#[tokio::test]
async fn a_message_wakes_the_stream_with_the_objects_of_get() {
    let nats = private_nats().await;
    let world = woken_by(&nats).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;

    // Longer than a new stream polls.
    stream.heartbeats(8).await;

    for account in [&book.stock, &book.currency] {
        let booked = deposit(&user, account).await;
        assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
    }

    // Ingest books and notifies in the same way.
    let mut connection = connect(&world).await;
    apply_batch(&mut connection, &deposits(&user, &book, &book.stock, 1), 1)
        .await
        .expect("booked");
    let client = async_nats::connect(nats.url()).await.expect("connected");
    tiris_runtime::nats::publish_committed(&client, user.id, &[]);
    let kinds: Vec<String> = stream
        .events(3)
        .await
        .into_iter()
        .map(|frame| frame.event)
        .collect();

    assert_eq!(kinds, ["transaction", "trading_log", "sub_account"]);
}

#[tokio::test]
async fn a_dead_letter_is_sent_when_it_is_opened_and_when_it_is_closed() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, start) = Stream::start(&user).await;
    let letter = |answer: &Value| {
        let micros = |time: &str| {
            let at: DateTime<Utc> = text(&answer[time]).parse().expect("a time");
            at.timestamp_micros()
        };
        let id = text(&answer["id"]);
        let opened = format!("{}-dead_letter-{id}", micros("created_at"));
        let closed = answer["closed_at"]
            .is_string()
            .then(|| format!("{}-dead_letter-{id}", micros("closed_at")));
        (opened, closed)
    };

    store_rejected(&other, &other.book("grid", "0", "0").await, 1, "1").await;
    let id = store_rejected(&user, &book, 2, "1").await;
    let path = format!("/v1/events/dead-letters/{id}");
    let opened = stream.events(1).await.remove(0);
    let open = user.get(&path).await.data().clone();
    assert_eq!(opened.event, "dead_letter");
    assert_eq!(opened.id, letter(&open).0);
    assert_eq!(opened.data, open);

    // A change that is no news is not sent.
    world
        .execute("UPDATE dead_letters SET published_at = now()")
        .await;
    let why = json!({"reason": "a test"});
    user.post(&format!("{path}/discard"), why).await.data();
    let closed = stream.events(1).await.remove(0);
    let discarded = user.get(&path).await.data().clone();
    assert_eq!(Some(&closed.id), letter(&discarded).1.as_ref());
    assert_eq!(closed.data, discarded);

    // A client that resumes gets both, after the accounts that were opened shortly before.
    let mut again = Stream::open(&user, Some(&start)).await;
    let mut ids = Vec::new();
    while ids.last() != Some(&closed.id) {
        ids.push(again.events(1).await.remove(0).id);
    }
    assert!(ids.contains(&opened.id), "{ids:?}");
}

#[tokio::test]
async fn the_stream_polls_without_nats() {
    let unreachable = format!("nats://127.0.0.1:{}", free_port().expect("a port"));
    for servers in [None, nats_at(&unreachable)] {
        let world = World::start_with(|settings| settings.live = LiveSettings::new(servers)).await;
        // Readiness does not depend on NATS.
        world.anonymous("/health/ready").await.data();
        let user = world.user("ann").await;
        let book = user.book("grid", "0", "0").await;
        let (mut stream, _) = Stream::start(&user).await;

        let booked = deposit(&user, &book.stock).await;

        assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
    }
}

#[tokio::test]
async fn the_stream_polls_while_nats_is_down() {
    let mut nats = private_nats().await;
    let world = woken_by(&nats).await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;

    nats.kill().await.expect("killed");
    let booked = deposit(&user, &book.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);

    nats.restart().await.expect("started");
    connected(&world).await;
    // Longer than the stream polls after a new connection.
    stream.heartbeats(8).await;
    let booked = deposit(&user, &book.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
}

#[tokio::test]
async fn a_late_commit_is_sent_once_also_after_a_reconnect() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    let mut connection = connect(&world).await;
    let mut slow = connection.begin().await.expect("begun");
    let batch = apply_batch(&mut slow, &deposits(&user, &book, &book.stock, 1), 1)
        .await
        .expect("booked");

    let fast = deposit(&user, &book.currency).await;
    let first = stream.events(3).await;
    assert_eq!(first, events_of(&user, &fast).await);

    slow.commit().await.expect("committed");
    let second = stream.events(3).await;
    let micros = format!("{}-", batch.timestamp.timestamp_micros());
    for frame in &second {
        assert!(frame.id.starts_with(&micros), "{frame:?}");
    }
    assert!(
        second[0].id < first[0].id,
        "the late event has the earlier time"
    );

    let next = deposit(&user, &book.currency).await;
    assert_eq!(stream.events(3).await, events_of(&user, &next).await);

    let mut again = Stream::open(&user, Some(&first[2].id)).await;
    let received = again.events(8).await;
    for frame in &second {
        assert!(received.contains(frame), "{frame:?}");
    }
}

/// Ids by kind of event.
type Ids = BTreeMap<String, BTreeSet<String>>;

/// Returns the ids of all objects of the user.
async fn stored(user: &User<'_>) -> Ids {
    let mut stored = Ids::new();
    for (kind, statement) in [
        (
            "transaction",
            "SELECT id::text FROM transactions WHERE user_id = $1",
        ),
        (
            "trading_log",
            "SELECT id::text FROM trading_logs WHERE user_id = $1",
        ),
        (
            "sub_account",
            "SELECT id::text FROM sub_accounts WHERE user_id = $1",
        ),
    ] {
        let ids: Vec<String> = sqlx::query_scalar(statement)
            .bind(user.id.0)
            .fetch_all(user.world.pool())
            .await
            .expect("ids");
        stored.insert(kind.to_owned(), ids.into_iter().collect());
    }

    stored
}

/// Returns the ids of these events; none may be a duplicate.
fn ids(frames: &[Frame]) -> Ids {
    let mut seen = Ids::new();
    for frame in frames {
        let of_kind = seen.entry(frame.event.clone()).or_default();
        let is_new = of_kind.insert(text(&frame.data["id"]));
        assert!(is_new, "{frame:?} is a duplicate");
    }
    seen
}

/// Books pages of rows with one time, then rows with other times.
async fn book_pages(user: &User<'_>, book: &Book) {
    let mut connection = connect(user.world).await;
    let many = deposits(user, book, &book.stock, 130);
    apply_batch(&mut connection, &many, 1)
        .await
        .expect("booked");
    for _ in 0..3 {
        deposit(user, &book.currency).await;
    }
}

/// Events after `book_pages`: a transaction and a log of each deposit, and two accounts.
const EVENTS_OF_PAGES: usize = 133 + 133 + 2;

#[tokio::test]
async fn a_reconnected_client_gets_all_pages_and_new_events() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (stream, start) = Stream::start(&user).await;
    drop(stream);
    book_pages(&user, &book).await;

    let mut stream = Stream::open(&user, Some(&start)).await;
    let received = stream.events(EVENTS_OF_PAGES).await;

    let time = |frame: &Frame| frame.id.split_once('-').expect("a time").0.to_owned();
    let mut times: Vec<String> = received.iter().map(time).collect();
    assert!(times.is_sorted(), "{times:?}");
    times.dedup();
    assert!(times.len() >= 4, "{times:?}");
    assert_eq!(ids(&received), stored(&user).await);

    let booked = deposit(&user, &book.currency).await;

    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
}

#[tokio::test]
async fn a_client_that_reconnects_in_the_middle_gets_the_rest() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (stream, start) = Stream::start(&user).await;
    drop(stream);
    book_pages(&user, &book).await;
    let mut stream = Stream::open(&user, Some(&start)).await;
    let received = stream.events(EVENTS_OF_PAGES).await;
    deposit(&user, &book.currency).await;

    let mut stream = Stream::open(&user, Some(&received[150].id)).await;
    let rest = stream.events(EVENTS_OF_PAGES + 2).await;

    // An account is sent only in its last state, and so later than before.
    let rest: Vec<String> = rest.into_iter().map(|frame| frame.id).collect();
    for frame in &received[150..] {
        let is_included = frame.event == "sub_account" || rest.contains(&frame.id);
        assert!(is_included, "{frame:?}");
    }
}

#[tokio::test]
async fn rejects_a_malformed_event_id() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for wrong in [
        "x",
        "1-bot-01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e",
        "-5-transaction-x",
    ] {
        let answer = user
            .get_with("/v1/stream", &[("last-event-id", wrong)])
            .await;
        assert_eq!(
            answer.refusal(),
            (400, "INVALID_VALUE"),
            "{wrong}: {answer}"
        );
        answer.assert_details("Last-Event-ID");
    }
}

#[tokio::test]
async fn an_old_event_id_resets_the_stream() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "0").await;
    let long_ago = Utc::now() - Duration::hours(25);
    let last = format!("{}-transaction-{}", long_ago.timestamp_micros(), new_id());

    let mut stream = Stream::open(&user, Some(&last)).await;

    let reset = stream.frame().await.expect("an event");
    assert_eq!(reset.event, "reset");
    let resumable: DateTime<Utc> = text(&reset.data["resumable_from"]).parse().expect("a time");
    assert!(resumable > long_ago);

    // Earlier events are not sent.
    let booked = deposit(&user, &book.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);

    // The stream can resume from the id of the reset.
    let mut stream = Stream::open(&user, Some(&reset.id)).await;
    let received = stream.events(3).await;
    assert!(
        received.iter().all(|frame| frame.event != "reset"),
        "{received:?}"
    );
}

#[tokio::test]
async fn a_stream_has_no_events_of_other_users() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let book_of_ann = ann.book("grid", "0", "0").await;
    let book_of_bob = bob.book("grid", "0", "0").await;
    let (mut stream, start) = Stream::start(&ann).await;

    deposit(&bob, &book_of_bob.stock).await;
    let booked = deposit(&ann, &book_of_ann.stock).await;
    let expected = events_of(&ann, &booked).await;
    assert_eq!(stream.events(3).await, expected);

    // An id of another user's stream reveals none of its events.
    let mut stream = Stream::open(&bob, Some(&start)).await;
    for frame in stream.events(3).await {
        assert_eq!(frame.data["user_id"], json!(bob.id), "{frame:?}");
    }
}

#[tokio::test]
async fn rejects_a_sixth_stream_until_one_is_closed() {
    // Without heartbeats a closed stream is not noticed by sending.
    let world = World::start_with(|settings| settings.live.heartbeat = NEVER).await;
    let ann = world.user("ann").await;
    let bob = world.user("bob").await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Stream::start(&ann).await);
    }

    let refused = ann.get("/v1/stream").await;

    refused.assert_error(429, "RATE_LIMITED");
    assert_eq!(refused.header("retry-after"), "15");
    refused.assert_details("at most 5 streams");

    let (_other, _) = Stream::start(&bob).await;

    streams.pop();
    let freed = eventually("a free stream", WAIT, async || {
        let response = Stream::request(&ann, &ann.token, None).await;
        if response.status() == 200 {
            Ok(())
        } else {
            Err(response.status())
        }
    });
    freed.await.expect("a free stream");
}

#[tokio::test]
async fn a_stream_ends_with_its_token_session_and_user() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.session(user.id).await;
    let other = world.token(user.id, other, Duration::hours(1));
    let short = world.token(user.id, user.session, Duration::seconds(3));
    let mut by_time = Stream::open_with(&user, &short, None).await;
    let mut by_logout = Stream::open(&user, None).await;
    let mut by_disable = Stream::open_with(&user, &other, None).await;

    by_time.ends().await;

    // By another replica, so that this process must notice by itself.
    let replica = world.replica().await;
    user.send_at(replica, reqwest::Method::POST, "/v1/auth/logout", None)
        .await
        .data();
    by_logout.ends().await;

    user.set_status("disabled").await;
    by_disable.ends().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_service() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (mut stream, _) = Stream::start(&user).await;

    world.stop();

    stream.ends().await;
}

#[tokio::test]
async fn a_silent_stream_outlives_the_request_timeout() {
    let world = World::start_with(|settings| {
        settings.request_timeout = Time::from_secs(1);
        settings.live.heartbeat = Time::from_millis(500);
    })
    .await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;

    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(stream.response.headers()[name], value);
    }

    stream.heartbeats(4).await;
    let booked = deposit(&user, &book.stock).await;

    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
}
