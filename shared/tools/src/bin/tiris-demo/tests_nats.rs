//! Publishing to a real NATS server: no event is lost, and those about money stay in order.

use crate::message::Message;
use crate::progress::Progress;
use crate::publish::{Pace, Publisher, keeps_order};
use crate::session::Session;
use crate::tests::{candles, repeatable_bot, trade};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;
use tiris_runtime::config::NatsConfig;
use tiris_testing::{NatsServer, NatsSettings, eventually};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CANDLES: usize = 200;
const USER: Uuid = Uuid::from_u128(7);

async fn create_stream(server: &NatsServer) -> stream::Stream {
    let client = async_nats::connect(server.url())
        .await
        .expect("the server is up");
    let config = stream::Config {
        name: "EVENTS".into(),
        subjects: vec!["trading.>".into()],
        ..stream::Config::default()
    };
    let created = jetstream::new(client).create_stream(config).await;
    created.expect("a new stream")
}

async fn last_sequence(stream: &stream::Stream) -> u64 {
    let info = stream.get_info().await.expect("the stream exists");
    info.state.last_sequence
}

async fn stored(stream: &stream::Stream) -> Vec<Bytes> {
    let mut payloads = Vec::new();
    for sequence in 1..=last_sequence(stream).await {
        let message = stream.get_raw_message(sequence).await;
        payloads.push(message.expect("nothing expires here").payload);
    }
    payloads
}

async fn session(server: &NatsServer, rate: Option<u32>, stop: &CancellationToken) -> Session {
    session_at(&server.url(), rate, stop).await
}

async fn session_at(url: &str, rate: Option<u32>, stop: &CancellationToken) -> Session {
    let config = NatsConfig {
        servers: vec![url.parse().expect("an address")],
        credentials_file: None,
    };
    let publisher = Publisher::connect(&config, USER, stop).await;
    Session {
        bot: repeatable_bot(),
        publisher: publisher.expect("the server is up"),
        pace: rate.map(Pace::new),
        progress: Progress::new(None),
        stop: stop.clone(),
        unsent: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_and_a_steady_rate_publish_the_same_list() {
    let candles = candles(1, CANDLES);
    let expected = trade(&mut repeatable_bot(), &candles);
    let expected: Vec<&Bytes> = expected.iter().map(|message| &message.payload).collect();

    for rate in [None, Some(2_000)] {
        let server = NatsServer::private().await.expect("a server");
        let stream = create_stream(&server).await;
        let mut session = session(&server, rate, &CancellationToken::new()).await;

        let outcome = session.trade(candles.clone().into_iter(), true).await;

        outcome.expect("every event is accepted");
        assert_same_list(&stored(&stream).await.iter().collect::<Vec<_>>(), &expected);
        let tally = &session.publisher.tally;
        assert_eq!(tally.acknowledged, tally.total());
        assert_eq!(usize::try_from(tally.total()), Ok(expected.len()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_no_event_and_no_order() {
    let mut server = NatsServer::private().await.expect("a server");
    let stream = create_stream(&server).await;
    let stop = CancellationToken::new();
    let mut session = session(&server, Some(500), &stop).await;
    // More candles than the test needs: the bot works until it is stopped.
    let candles = candles(1, 5_760);
    let all = trade(&mut repeatable_bot(), &candles);
    let run = tokio::spawn(async move {
        let outcome = session.trade(candles.into_iter(), true).await;
        outcome.map(|()| session.publisher.tally)
    });

    wait_for_more_than(20, &stream).await;
    server.kill().await.expect("killed");
    server.restart().await.expect("started again");
    let before = last_sequence(&stream).await;
    wait_for_more_than(before + 20, &stream).await;
    stop.cancel();
    let tally = run.await.expect("no panic").expect("every event accepted");

    let published = &all[..usize::try_from(tally.total()).expect("few")];
    assert!(
        published.len() < all.len(),
        "the broker must die while the bot works"
    );
    let mut seen = HashSet::new();
    let mut first_times = stored(&stream).await;
    first_times.retain(|payload| seen.insert(payload.clone()));
    let payloads = published.iter().map(|message| message.payload.clone());
    assert_eq!(seen, payloads.collect());

    let of_money: Vec<&Bytes> = published
        .iter()
        .filter(|message| keeps_order(message.kind))
        .map(|message| &message.payload)
        .collect();
    first_times.retain(|payload| of_money.contains(&payload));
    assert_same_list(&first_times.iter().collect::<Vec<_>>(), &of_money);
}

/// Shows only the first difference, because the lists are long.
fn assert_same_list(actual: &[&Bytes], expected: &[&Bytes]) {
    let mut pairs = actual.iter().zip(expected);
    let difference = pairs.find(|(actual, expected)| actual != expected);
    assert_eq!(difference, None);
    assert_eq!(actual.len(), expected.len());
}

async fn wait_for_more_than(count: u64, stream: &stream::Stream) {
    eventually("events are stored", Duration::from_secs(60), async || {
        let stored = stream.get_info().await?.state.messages;
        anyhow::ensure!(stored > count, "{stored} so far");
        Ok(())
    })
    .await
    .expect("the bot publishes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_bot_when_no_stream_accepts_its_events() {
    let server = NatsServer::private().await.expect("a server");
    let stop = CancellationToken::new();
    let mut session = session(&server, None, &stop).await;
    stop.cancel();
    let mut messages = trade(&mut repeatable_bot(), &candles(1, CANDLES));
    messages.retain(|message: &Message| keeps_order(message.kind));
    let count = messages.len();

    let is_sent = session.send_all(messages).await.expect("no error");

    assert!(!is_sent);
    assert_eq!(session.unsent, count);
    assert_eq!(session.publisher.tally.acknowledged, 0);
}

/// As `docker/make-secrets bot` creates it.
#[tokio::test(flavor = "multi_thread")]
async fn the_login_of_a_bot_is_enough() {
    let users = format!(
        "no_auth_user: admin\nauthorization {{ users = [ {{ user: admin, password: a }}, {{ user: bot, password: b, permissions: {{ \
         publish: {{ allow: [\"trading.>\"] }}, subscribe: {{ allow: [\"_INBOX_{USER}.>\"] }} }} }} ] }}\n"
    );
    let settings = NatsSettings {
        more: users,
        ..NatsSettings::default()
    };
    let server = NatsServer::private_with(settings).await.expect("a server");
    create_stream(&server).await;
    let login = server.url().replace("nats://", "nats://bot:b@");
    let mut session = session_at(&login, None, &CancellationToken::new()).await;

    let outcome = session.trade(candles(1, 20).into_iter(), true).await;

    outcome.expect("every event is accepted");
    let tally = &session.publisher.tally;
    assert_eq!(tally.acknowledged, tally.total());
}
