//! The live stream: what is committed arrives, once, at whom it concerns, and nothing is missed.

use crate::world::{Desk, User, World, text};
use chrono::{DateTime, Duration, Utc};
use reqwest::Response;
use serde_json::{Map, Value, json};
use sqlx::{Connection as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration as Time;
use tiris_api::settings::LiveSettings;
use tiris_domain::ids::{AccountId, TradingId, new_id};
use tiris_domain::ledger::{Belief, Command, Direction, Movement};
use tiris_runtime::config::NatsConfig;
use tiris_store::ledger::{Entry, Source, apply_batch};
use tiris_testing::{NatsServer, NatsSettings, eventually, free_port};

const WAIT: Time = Time::from_secs(30);
/// So long that nothing in a test comes from looking.
const NEVER: Time = Time::from_secs(3_600);

/// What came between two empty lines.
#[derive(Clone, Debug, Default, PartialEq)]
struct Frame {
    id: String,
    event: String,
    data: Value,
    is_comment: bool,
}

/// A client that follows.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn ask(user: &User<'_>, token: &str, last: Option<&str>) -> Response {
        tiris_runtime::tls::choose_provider();
        let mut request = reqwest::Client::builder()
            .connect_timeout(WAIT)
            .build()
            .expect("a client")
            .get(format!("http://{}/v1/stream", user.world.address))
            .bearer_auth(token);
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        request.send().await.expect("an answer")
    }

    async fn open(user: &User<'_>, last: Option<&str>) -> Self {
        Self::open_with(user, &user.token, last).await
    }

    async fn open_with(user: &User<'_>, token: &str, last: Option<&str>) -> Self {
        let response = Self::ask(user, token, last).await;
        assert_eq!(response.status(), 200);
        Self {
            response,
            text: String::new(),
        }
    }

    /// A stream from now on, with the id it starts at.
    async fn start(user: &User<'_>) -> (Self, String) {
        let mut stream = Self::open(user, None).await;
        let start = stream.frame().await.expect("a start");
        assert_eq!(
            (start.event.as_str(), &start.data),
            ("", &Value::Null),
            "nobody is told of it"
        );
        (stream, start.id)
    }

    /// The next frame but the advice when to come again; none at the end.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            let Some(end) = self.text.find("\n\n") else {
                let chunk = tokio::time::timeout(WAIT, self.response.chunk())
                    .await
                    .expect("something in time");
                // A connection that is cut ends the stream as well.
                self.text += std::str::from_utf8(&chunk.ok().flatten()?).expect("text");
                continue;
            };
            let lines: String = self.text.drain(..end + 2).collect();
            let mut frame = Frame::default();
            for line in lines.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => frame.id = id.to_owned(),
                    Some(("event", event)) => frame.event = event.to_owned(),
                    Some(("data", data)) => frame.data = serde_json::from_str(data).expect("JSON"),
                    Some(("retry", _)) => frame.event = "retry".to_owned(),
                    // A trace belongs to the event it stands before.
                    _ => frame.is_comment |= line == ":",
                }
            }
            if frame.event != "retry" {
                return Some(frame);
            }
        }
    }

    /// The next event.
    async fn event(&mut self) -> Option<Frame> {
        let event = async {
            loop {
                let frame = self.frame().await?;
                if !frame.is_comment {
                    return Some(frame);
                }
            }
        };
        // Signs of life are no event: without a bound of its own a test of a lost one would wait for ever.
        tokio::time::timeout(WAIT, event)
            .await
            .expect("an event in time")
    }

    async fn events(&mut self, count: usize) -> Vec<Frame> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("an event"));
        }
        events
    }

    async fn heartbeats(&mut self, count: usize) {
        for _ in 0..count {
            assert!(self.frame().await.expect("a heartbeat").is_comment);
        }
    }

    async fn ends(&mut self) {
        let end = async { while self.frame().await.is_some() {} };
        tokio::time::timeout(WAIT, end)
            .await
            .expect("an end in time");
    }
}

fn nats_at(url: &str) -> Option<NatsConfig> {
    Some(NatsConfig {
        servers: vec![url.parse().expect("an address")],
        credentials_file: None,
    })
}

/// A world whose streams are woken by `nats` alone.
async fn woken_by(nats: &NatsServer) -> World {
    let world = World::start_with(|settings| {
        settings.live = LiveSettings {
            heartbeat: Time::from_millis(500),
            look_woken: NEVER,
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
    user.post(
        &format!("/v1/sub-accounts/{account}/deposit"),
        json!({"amount": "1"}),
    )
    .await
    .data()
    .clone()
}

/// The events of one deposit, as `GET` answers what they are about.
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

/// Deposits that somebody else books, in the order of `amounts`.
fn deposits(user: &User<'_>, desk: &Desk, account: &str, count: usize) -> Vec<Entry> {
    let account = AccountId(account.parse().expect("an id"));
    let symbol = if account.0.to_string() == desk.stock {
        "ETH"
    } else {
        "BTC"
    };
    let movement = Movement {
        account,
        asset: symbol.parse().expect("an asset"),
        direction: Direction::Credit,
        amount: "1".parse().expect("an amount"),
        order: None,
        reason: "deposit".to_owned(),
        belief: Belief::default(),
    };
    let entry = Entry {
        user: user.id,
        trading: TradingId(desk.trading.parse().expect("an id")),
        sub_account: Some(account),
        command: Command::Move(movement),
        claim: None,
        log_type: "deposit".to_owned(),
        source: Source::Bot,
        order: None,
        event_time: None,
        message: String::new(),
        info: Map::new(),
    };
    vec![entry; count]
}

async fn connect(world: &World) -> PgConnection {
    PgConnection::connect(world.database.url())
        .await
        .expect("connected")
}

#[tokio::test]
async fn a_message_wakes_the_stream_and_the_events_are_what_get_answers() {
    let nats = NatsServer::private_with(NatsSettings::default())
        .await
        .expect("a server");
    let world = woken_by(&nats).await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    // Longer than a new stream looks by itself whether it has missed something.
    stream.heartbeats(8).await;
    for account in [&desk.stock, &desk.currency] {
        let booked = deposit(&user, account).await;
        assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
    }
    // Ingest books and tells in the same way.
    let mut connection = connect(&world).await;
    apply_batch(&mut connection, &deposits(&user, &desk, &desk.stock, 1), 1)
        .await
        .expect("booked");
    let client = async_nats::connect(nats.url()).await.expect("connected");
    tiris_runtime::nats::tell_committed(&client, user.id, &[]);
    let kinds: Vec<String> = stream
        .events(3)
        .await
        .into_iter()
        .map(|frame| frame.event)
        .collect();
    assert_eq!(kinds, ["transaction", "trading_log", "sub_account"]);
}

#[tokio::test]
async fn without_nats_and_while_it_is_away_the_stream_looks_by_itself() {
    let mut nats = NatsServer::private_with(NatsSettings::default())
        .await
        .expect("a server");
    let nobody = format!("nats://127.0.0.1:{}", free_port().expect("a port"));
    for servers in [None, nats_at(&nobody)] {
        let world = World::start_with(|settings| settings.live = LiveSettings::new(servers)).await;
        assert!(
            world.anonymous("/health/ready").await.status.is_success(),
            "nothing depends on NATS"
        );
        let user = world.user("ann").await;
        let desk = user.desk("grid", "0", "0").await;
        let (mut stream, _) = Stream::start(&user).await;
        let booked = deposit(&user, &desk.stock).await;
        assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
    }
    let world = woken_by(&nats).await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    nats.kill().await.expect("killed");
    let booked = deposit(&user, &desk.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
    nats.restart().await.expect("started");
    connected(&world).await;
    // Longer than the stream looks by itself after a new connection.
    stream.heartbeats(8).await;
    let booked = deposit(&user, &desk.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
}

#[tokio::test]
async fn what_commits_late_comes_once_to_who_follows_and_to_who_comes_again() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    let mut connection = connect(&world).await;
    let mut slow = connection.begin().await.expect("begun");
    let batch = apply_batch(&mut slow, &deposits(&user, &desk, &desk.stock, 1), 1)
        .await
        .expect("booked");
    let fast = deposit(&user, &desk.currency).await;
    let first = stream.events(3).await;
    assert_eq!(
        first,
        events_of(&user, &fast).await,
        "the slow one is not there yet"
    );
    slow.commit().await.expect("committed");
    let second = stream.events(3).await;
    let micros = format!("{}-", batch.timestamp.timestamp_micros());
    assert!(
        second.iter().all(|frame| frame.id.starts_with(&micros)),
        "{second:?}"
    );
    assert!(second[0].id < first[0].id, "it carries the earlier time");
    let next = deposit(&user, &desk.currency).await;
    assert_eq!(
        stream.events(3).await,
        events_of(&user, &next).await,
        "nothing comes twice"
    );

    let mut again = Stream::open(&user, Some(&first[2].id)).await;
    let came: Vec<Frame> = again.events(8).await;
    for frame in &second {
        assert!(came.contains(frame), "{frame:?}");
    }
}

#[tokio::test]
async fn who_comes_again_gets_all_pages_of_what_was_missed_and_goes_on() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let (stream, start) = Stream::start(&user).await;
    drop(stream);
    let mut connection = connect(&world).await;
    // Some pages of rows that share one time, then some of other times.
    let many = deposits(&user, &desk, &desk.stock, 130);
    apply_batch(&mut connection, &many, 1)
        .await
        .expect("booked");
    for _ in 0..3 {
        deposit(&user, &desk.currency).await;
    }
    let mut stored: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
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
            .fetch_all(world.database.pool())
            .await
            .expect("ids");
        stored.insert(kind.to_owned(), ids.into_iter().collect());
    }
    let count: usize = stored.values().map(BTreeSet::len).sum();
    assert_eq!(count, 133 + 133 + 2);
    let mut stream = Stream::open(&user, Some(&start)).await;
    let came = stream.events(count).await;
    let mut times: Vec<&str> = came
        .iter()
        .map(|frame| frame.id.split('-').next().expect("a time"))
        .collect();
    assert!(times.is_sorted(), "in order");
    times.dedup();
    assert!(times.len() >= 4, "{times:?}");
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for frame in &came {
        let is_new = seen
            .entry(frame.event.clone())
            .or_default()
            .insert(text(&frame.data["id"]));
        assert!(is_new, "{frame:?} came twice");
    }
    assert_eq!(seen, stored);
    let booked = deposit(&user, &desk.currency).await;
    assert_eq!(
        stream.events(3).await,
        events_of(&user, &booked).await,
        "and nothing of before again"
    );

    let middle = &came[150].id;
    let mut stream = Stream::open(&user, Some(middle)).await;
    let rest: Vec<String> = stream
        .events(count + 2)
        .await
        .into_iter()
        .map(|frame| frame.id)
        .collect();
    assert!(
        came[150..]
            .iter()
            .all(|frame| frame.event == "sub_account" || rest.contains(&frame.id))
    );
}

#[tokio::test]
async fn an_id_that_is_none_is_refused_and_one_of_long_ago_begins_anew() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "0").await;
    for wrong in [
        "x",
        "1-order-01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e",
        "-5-transaction-x",
    ] {
        let answer = user
            .get_with("/v1/stream", &[("last-event-id", wrong)])
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{wrong}");
        assert!(
            text(&answer.body["error"]["details"]).contains("Last-Event-ID"),
            "{}",
            answer.text
        );
    }
    let long_ago = Utc::now() - Duration::hours(25);
    let last = format!("{}-transaction-{}", long_ago.timestamp_micros(), new_id());
    let mut stream = Stream::open(&user, Some(&last)).await;
    let reset = stream.frame().await.expect("an event");
    assert_eq!(reset.event, "reset");
    let resumable: DateTime<Utc> = text(&reset.data["resumable_from"]).parse().expect("a time");
    assert!(resumable > long_ago);
    let booked = deposit(&user, &desk.stock).await;
    assert_eq!(
        stream.events(3).await,
        events_of(&user, &booked).await,
        "what was before does not come"
    );

    let mut stream = Stream::open(&user, Some(&reset.id)).await;
    let came = stream.events(3).await;
    assert!(
        came.iter().all(|frame| frame.event != "reset"),
        "its id is good to go on with"
    );
}

#[tokio::test]
async fn nobody_gets_what_is_another_users() {
    let world = World::start().await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let (desk_of_ann, desk_of_bob) = (
        ann.desk("grid", "0", "0").await,
        bob.desk("grid", "0", "0").await,
    );
    let (mut stream, start) = Stream::start(&ann).await;
    deposit(&bob, &desk_of_bob.stock).await;
    let booked = deposit(&ann, &desk_of_ann.stock).await;
    let expected = events_of(&ann, &booked).await;
    assert_eq!(stream.events(3).await, expected);
    // Ids are no secret, and those of others tell nothing.
    let mut stream = Stream::open(&bob, Some(&start)).await;
    let came = stream.events(3).await;
    assert!(
        came.iter()
            .all(|frame| frame.data["user_id"] == json!(bob.id)),
        "{came:?}"
    );
}

#[tokio::test]
async fn a_sixth_stream_is_refused_until_one_of_the_five_is_gone() {
    // Nothing is sent by itself, so who is gone is not noticed by that.
    let world = World::start_with(|settings| settings.live.heartbeat = NEVER).await;
    let (ann, bob) = (world.user("ann").await, world.user("bob").await);
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Stream::start(&ann).await);
    }
    let refused = ann.get("/v1/stream").await;
    assert_eq!(refused.refusal(), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("retry-after"), "15");
    assert!(
        text(&refused.body["error"]["details"]).contains("at most 5 streams"),
        "{}",
        refused.text
    );
    let (_other, _) = Stream::start(&bob).await;
    streams.pop();
    let freed = eventually("a place", WAIT, async || {
        let response = Stream::ask(&ann, &ann.token, None).await;
        if response.status() == 200 {
            Ok(())
        } else {
            Err(response.status())
        }
    });
    freed.await.expect("a place");
}

#[tokio::test]
async fn the_stream_ends_with_its_session_its_user_its_token_and_the_service() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.session(user.id).await;
    let other = world.token(user.id, other, Duration::hours(1));
    let short = world.token(user.id, user.session, Duration::seconds(3));
    let mut by_time = Stream::open_with(&user, &short, None).await;
    let mut by_logout = Stream::open(&user, None).await;
    let mut by_disable = Stream::open_with(&user, &other, None).await;
    by_time.ends().await;
    // By another replica, so that this process finds out by itself.
    let replica = world.replica().await;
    user.send_at(replica, reqwest::Method::POST, "/v1/auth/logout", None)
        .await
        .data();
    by_logout.ends().await;
    world
        .run(
            "UPDATE users SET status = 'disabled' WHERE id = $1",
            user.id.0,
        )
        .await;
    by_disable.ends().await;

    let bob = world.user("bob").await;
    let (mut stream, _) = Stream::start(&bob).await;
    world.stop();
    stream.ends().await;
}

#[tokio::test]
async fn a_silent_stream_shows_life_for_longer_than_a_request_may_take() {
    let world = World::start_with(|settings| {
        settings.request_timeout = Time::from_secs(1);
        settings.live.heartbeat = Time::from_millis(500);
    })
    .await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let (mut stream, _) = Stream::start(&user).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(stream.response.headers()[name], value);
    }
    stream.heartbeats(4).await;
    let booked = deposit(&user, &desk.stock).await;
    assert_eq!(stream.events(3).await, events_of(&user, &booked).await);
}
