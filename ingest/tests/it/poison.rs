//! Messages that a NATS client cannot parse or mistakes for the server's: they stop no lane and are not lost.

use crate::world::{WAIT, World};
use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A reader that meets an unreadable header loses the connection of all lanes; then the lane reads by direct gets. One loss is
/// usual.
const LOST_MAX: u64 = 2;

/// A message as raw bytes, because a client library would refuse most of these.
#[derive(Default)]
struct Raw<'a> {
    subject: &'a [u8],
    headers: &'a [u8],
    payload: &'a [u8],
}

impl Raw<'_> {
    fn frame(&self) -> Vec<u8> {
        let Self {
            subject,
            headers,
            payload,
        } = self;
        let mut frame = Vec::new();
        if headers.is_empty() {
            let length = format!(" {}\r\n", payload.len());
            frame.extend([b"PUB ", *subject, length.as_bytes()].concat());
        } else {
            let lengths = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
            frame.extend([b"HPUB ", *subject, lengths.as_bytes(), headers].concat());
        }
        frame.extend([*payload, b"\r\n"].concat());
        frame
    }

    async fn publish(&self, world: &World) -> Result<()> {
        publish_frames(world, &self.frame()).await
    }
}

/// Publishes messages over a connection of their own.
async fn publish_frames(world: &World, frames: &[u8]) -> Result<()> {
    let connect = b"CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n";
    let mut socket = TcpStream::connect(("127.0.0.1", world.nats.port())).await?;
    socket
        .write_all(&[connect, frames, b"PING\r\n"].concat())
        .await?;

    let mut bytes = Vec::new();
    let mut answer = String::new();
    while !answer.contains("PONG") {
        let count = tokio::time::timeout(WAIT, socket.read_buf(&mut bytes)).await??;
        answer = String::from_utf8_lossy(&bytes).into_owned();
        ensure!(count > 0, "the server closed the connection: {answer}");
    }
    ensure!(!answer.contains("-ERR"), "{answer}");
    Ok(())
}

/// Publishes a credit of 1 BTC with headers.
async fn publish_with(world: &World, headers: &[u8]) -> Result<()> {
    let subject = world.subject();
    let event = world.btc_credit("1").to_string();
    let raw = Raw {
        subject: subject.as_bytes(),
        headers,
        payload: event.as_bytes(),
    };
    raw.publish(world).await
}

#[tokio::test]
async fn unreadable_and_forged_headers_stop_no_lane() -> Result<()> {
    let world = World::new().await?;
    let unreadable = b"NATS/1.0\r\nBad: \xff\xfe\r\n\r\n";
    let poison: [&[u8]; 8] = [
        unreadable,
        b"no version\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\nBad Name: x\r\n\r\n",
        b"NATS/1.0\r\nNul: a\0b\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    ];

    for headers in poison {
        publish_with(&world, headers).await?;
    }
    let subject = world.subject();
    let malformed = Raw {
        subject: subject.as_bytes(),
        headers: unreadable,
        payload: b"not json",
    };
    malformed.publish(&world).await?;
    world.send_credits(1).await?;
    world
        .run_until("all events and the dead letter", async || {
            world.expect_rows("transactions", 9).await?;
            world.expect_rows("dead_letters", 1).await
        })
        .await?;

    assert_eq!(world.btc().await?, "9");
    let headers: Value = sqlx::query_scalar("SELECT headers FROM dead_letters")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(headers["Bad"][0], "\u{fffd}\u{fffd}");
    Ok(())
}

/// Publishes credits of 1 BTC with a header that no client can parse.
async fn publish_unreadable(world: &World, count: usize) -> Result<()> {
    let subject = world.subject();
    let mut frames = Vec::new();
    for _ in 0..count {
        let event = world.btc_credit("1").to_string();
        let raw = Raw {
            subject: subject.as_bytes(),
            headers: b"NATS/1.0\r\nno colon\r\n\r\n",
            payload: event.as_bytes(),
        };
        frames.extend(raw.frame());
    }
    publish_frames(world, &frames).await
}

#[tokio::test]
async fn many_unreadable_headers_cost_few_connections() -> Result<()> {
    let world = World::new().await?;
    let lost_before = world.connection.disconnects();

    publish_unreadable(&world, 500).await?;
    world.send_credits(1).await?;
    world
        .run_until("the credits", async || {
            world.expect_rows("transactions", 501).await
        })
        .await?;

    let lost = world.connection.disconnects() - lost_before;
    ensure!(lost > 0, "no reader met an unreadable header");
    ensure!(lost <= LOST_MAX, "the connection was lost {lost} times");
    assert_eq!(world.btc().await?, "501");
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn a_poisoned_message_at_the_end_of_a_lane_is_not_overlooked() -> Result<()> {
    let world = World::new().await?;

    publish_with(&world, b"NATS/1.0 100 Idle\r\n\r\n").await?;

    world
        .run_until("the event", async || {
            world.expect_rows("transactions", 1).await
        })
        .await
}

#[tokio::test]
async fn a_subject_that_is_no_text_becomes_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let user = world.user.to_string();
    let event = world.btc_credit("1").to_string();

    for kind in [&b"\xff\xfe"[..], b"a\0b"] {
        let bare = [b"trading.balance.", kind].concat();
        let own = [&bare, &b"."[..], user.as_bytes()].concat();
        for subject in [own, bare] {
            let raw = Raw {
                subject: &subject,
                payload: event.as_bytes(),
                ..Raw::default()
            };
            raw.publish(&world).await?;
        }
    }
    world.send_credits(1).await?;

    world
        .run_until("four dead letters and the valid event", async || {
            world.expect_dead_letters("UNKNOWN_SUBJECT", 4).await?;
            world.expect_rows("transactions", 1).await
        })
        .await
}

#[tokio::test]
async fn stores_a_dead_letter_with_the_longest_headers() -> Result<()> {
    let world = World::new().await?;
    let mut headers = b"NATS/1.0\r\n".to_vec();
    for number in 0..3 {
        headers.extend(format!("Long-{number}: {}\r\n", "\u{1}".repeat(20 * 1024)).into_bytes());
    }
    headers.extend(b"\r\n");

    let subject = world.subject();
    let raw = Raw {
        subject: subject.as_bytes(),
        headers: &headers,
        payload: &[b'x'; 6 * 1024],
    };
    raw.publish(&world).await?;
    world
        .run_until("the dead letter", async || {
            world.expect_rows("dead_letters", 1).await
        })
        .await?;

    let length = world
        .number("SELECT length(headers->'Long-2'->>0)::bigint FROM dead_letters")
        .await?;
    assert_eq!(length, 20 * 1024);
    Ok(())
}

#[tokio::test]
async fn accepts_times_at_the_limits() -> Result<()> {
    let world = World::new().await?;
    let times = [
        "0001-01-01T23:59:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60Z",
        "1969-12-31T23:59:59.999999999Z",
    ];

    for time in times {
        let mut event = world.btc_credit("1");
        event["timestamp"] = time.into();
        world.send(&event).await?;
    }

    world
        .run_until("postings", async || {
            world.expect_rows("transactions", 5).await
        })
        .await?;
    world.expect_rows("dead_letters", 0).await
}

#[tokio::test]
async fn accepts_or_refuses_texts_at_the_limits_of_json() -> Result<()> {
    let world = World::new().await?;
    let kept = [
        r#"{"a":[-0,0e64,1E-64,-0.0e+64,9999999999999999999999999999999999999999e64]}"#,
        r#"{"":"\ud83d\ude00"}"#,
    ];
    let refused = [
        r#"{"a":"\ud800"}"#,
        r#"{"\udc00":1}"#,
        r#"{"a":"\ud800\u0041"}"#,
        r#"{"a":1e}"#,
    ];

    for metadata in kept.iter().chain(&refused) {
        let event = world.btc_credit("1").to_string();
        let event = format!("{},\"metadata\":{metadata}}}", event.trim_end_matches('}'));
        world.send_bytes(event).await?;
    }

    world
        .run_until("postings and dead letters", async || {
            world.expect_rows("transactions", 2).await?;
            world.expect_dead_letters("NOT_JSON", 4).await
        })
        .await
}
