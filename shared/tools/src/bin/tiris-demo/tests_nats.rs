//! The bot's publishing on a real NATS server: nothing lost, nothing about money out of order.

use super::Session;
use super::candles::Feed;
use super::message::Message;
use super::progress::Progress;
use super::publish::{Delivery, Pace, Publisher, keeps_order};
use super::tests::{candles, counted_bot, trade};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;
use tiris_runtime::config::NatsConfig;
use tiris_testing::{NatsServer, NatsSettings, eventually};
use tokio_util::sync::CancellationToken;

const CANDLES: usize = 200;

fn config(server: &NatsServer) -> NatsConfig {
    NatsConfig {
        servers: vec![server.url().parse().expect("an address")],
        credentials_file: None,
    }
}

async fn make_stream(server: &NatsServer) -> stream::Stream {
    let client = async_nats::connect(server.url())
        .await
        .expect("the server is up");
    let config = stream::Config {
        name: "EVENTS".into(),
        subjects: vec!["trading.>".into()],
        ..stream::Config::default()
    };
    jetstream::new(client)
        .create_stream(config)
        .await
        .expect("a new stream")
}

async fn stored(stream: &stream::Stream) -> Vec<Bytes> {
    let last = stream
        .get_info()
        .await
        .expect("the stream is there")
        .state
        .last_sequence;
    let mut payloads = Vec::new();
    for sequence in 1..=last {
        payloads.push(
            stream
                .get_raw_message(sequence)
                .await
                .expect("nothing expires here")
                .payload,
        );
    }

    payloads
}

async fn session(server: &NatsServer, rate: Option<u32>, stop: CancellationToken) -> Session {
    Session {
        bot: counted_bot(),
        publisher: Publisher::connect(&config(server), stop.clone())
            .await
            .expect("the server is up"),
        pace: rate.map(Pace::new),
        progress: Progress::of_candles(None),
        stop,
        unsent: 0,
    }
}

fn feed() -> Feed {
    Feed::File(candles(1, CANDLES).into_iter())
}

fn expected() -> Vec<Message> {
    trade(&mut counted_bot(), &candles(1, CANDLES))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_and_a_steady_rate_publish_the_same_list() {
    let expected: Vec<Bytes> = expected()
        .into_iter()
        .map(|message| message.payload)
        .collect();

    for rate in [None, Some(2_000)] {
        let server = NatsServer::private_with(NatsSettings::default())
            .await
            .expect("a server");
        let stream = make_stream(&server).await;
        let mut session = session(&server, rate, CancellationToken::new()).await;
        session
            .trade(feed(), true)
            .await
            .expect("everything is taken");
        assert_same_list(&stored(&stream).await, &expected);
        assert_eq!(
            session.publisher.tally.acknowledged,
            session.publisher.tally.total()
        );
        assert_eq!(
            session.publisher.tally.total(),
            u64::try_from(expected.len()).expect("few")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_costs_no_event_and_no_order() {
    let mut server = NatsServer::private().await.expect("a server");
    let stream = make_stream(&server).await;
    let stop = CancellationToken::new();
    let mut session = session(&server, Some(500), stop.clone()).await;
    // Far more candles than the test takes: the bot works until it is told to stop.
    let candles = candles(1, 5_760);
    let all = trade(&mut counted_bot(), &candles);
    let run = tokio::spawn(async move {
        session
            .trade(Feed::File(candles.into_iter()), true)
            .await
            .map(|()| session.publisher.tally)
    });
    more_than(20, &stream).await;
    server.kill().await.expect("killed");
    server.restart().await.expect("started again");
    let before = stream
        .get_info()
        .await
        .expect("the stream is there")
        .state
        .messages;
    more_than(before + 20, &stream).await;
    stop.cancel();
    let tally = run
        .await
        .expect("no panic")
        .expect("everything is taken in the end");

    let published = &all[..usize::try_from(tally.total()).expect("few")];
    assert!(
        published.len() < all.len(),
        "the broker must die while the bot works"
    );
    let mut seen = HashSet::new();
    let mut first_times = stored(&stream).await;
    first_times.retain(|payload| seen.insert(payload.clone()));
    assert_eq!(
        seen,
        published
            .iter()
            .map(|message| message.payload.clone())
            .collect()
    );
    let of_money: Vec<&Bytes> = published
        .iter()
        .filter(|message| keeps_order(message.kind))
        .map(|message| &message.payload)
        .collect();
    first_times.retain(|payload| of_money.contains(&payload));
    assert_same_list(&first_times.iter().collect::<Vec<_>>(), &of_money);
}

/// Tells only the first difference, the lists being long.
fn assert_same_list<T: PartialEq + std::fmt::Debug>(actual: &[T], expected: &[T]) {
    let differs = actual
        .iter()
        .zip(expected)
        .position(|(actual, expected)| actual != expected);
    assert_eq!(differs.map(|at| (at, &actual[at], &expected[at])), None);
    assert_eq!(actual.len(), expected.len());
}

async fn more_than(count: u64, stream: &stream::Stream) {
    eventually("events are stored", Duration::from_secs(60), async || {
        let stored = stream.get_info().await?.state.messages;
        anyhow::ensure!(stored > count, "{stored} so far");
        Ok(())
    })
    .await
    .expect("the bot publishes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_bot_also_when_no_stream_takes_its_events() {
    let server = NatsServer::private_with(NatsSettings::default())
        .await
        .expect("a server");
    let stop = CancellationToken::new();
    let mut session = session(&server, None, stop.clone()).await;
    stop.cancel();
    let messages: Vec<Message> = expected()
        .into_iter()
        .filter(|message| keeps_order(message.kind))
        .collect();
    let count = messages.len();
    assert_eq!(
        session.send_all(messages).await.expect("no error"),
        Delivery::Stopped
    );
    assert_eq!(session.unsent, count);

    assert_eq!(session.publisher.tally.acknowledged, 0);
}
