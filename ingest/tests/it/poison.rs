//! Messages that a NATS client cannot read or takes for the server's own: they stop nobody and are not lost.

use crate::world::{WAIT, World};
use anyhow::{Result, ensure};
use serde_json::Value;
use tiris_domain::event::Kind;
use tiris_testing::NatsServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Publishes bytes as they are: a client library would refuse most of what is tried here.
async fn publish_raw(
    nats: &NatsServer,
    subject: &[u8],
    headers: &[u8],
    payload: &[u8],
) -> Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", nats.port())).await?;
    let mut frame = b"CONNECT {\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n".to_vec();
    if headers.is_empty() {
        frame.extend(
            [
                b"PUB ",
                subject,
                format!(" {}\r\n", payload.len()).as_bytes(),
            ]
            .concat(),
        );
    } else {
        let lengths = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
        frame.extend([b"HPUB ", subject, lengths.as_bytes(), headers].concat());
    }
    frame.extend([payload, b"\r\nPING\r\n"].concat());
    socket.write_all(&frame).await?;
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("PONG") {
        let count = tokio::time::timeout(WAIT, socket.read_buf(&mut answer)).await??;
        ensure!(
            count > 0,
            "the server hung up: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    ensure!(
        !String::from_utf8_lossy(&answer).contains("-ERR"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    Ok(())
}

#[tokio::test]
async fn headers_no_client_can_read_or_that_forge_the_servers_status_hold_up_nobody() -> Result<()>
{
    let world = World::new().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let poison: [&[u8]; 8] = [
        b"NATS/1.0\r\nBad: \xff\xfe\r\n\r\n",
        b"no version\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\r\n",
        b"NATS/1.0\r\nBad Name: x\r\n\r\n",
        b"NATS/1.0\r\nNul: a\0b\r\n\r\n",
        b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
        b"NATS/1.0 404 No Messages\r\n\r\n",
        b"NATS/1.0 409 Consumer Deleted\r\n\r\n",
    ];
    for headers in poison {
        let event = world.credit(world.currency, "BTC", "1").to_string();
        publish_raw(&world.nats, subject.as_bytes(), headers, event.as_bytes()).await?;
    }
    publish_raw(&world.nats, subject.as_bytes(), poison[0], b"not json").await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    world
        .run_until("all events and the letter", async || {
            world
                .expect_count("SELECT count(*) FROM transactions", 9)
                .await?;
            world
                .expect_count("SELECT count(*) FROM dead_letters", 1)
                .await
        })
        .await?;
    assert_eq!(world.balance(world.currency).await?, "9");
    let headers: Value = sqlx::query_scalar("SELECT headers FROM dead_letters")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(headers["Bad"][0], "\u{fffd}\u{fffd}");
    Ok(())
}

#[tokio::test]
async fn a_poisoned_message_at_the_end_of_a_lane_is_not_overlooked() -> Result<()> {
    let world = World::new().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let event = world.credit(world.currency, "BTC", "1").to_string();
    publish_raw(
        &world.nats,
        subject.as_bytes(),
        b"NATS/1.0 100 Idle\r\n\r\n",
        event.as_bytes(),
    )
    .await?;
    world
        .run_until("the event", async || {
            world
                .expect_count("SELECT count(*) FROM transactions", 1)
                .await
        })
        .await
}

#[tokio::test]
async fn a_subject_that_is_no_text_becomes_a_dead_letter() -> Result<()> {
    let world = World::new().await?;
    let event = world.credit(world.currency, "BTC", "1").to_string();
    for kind in [&b"\xff\xfe"[..], b"a\0b"] {
        let subject = [
            b"trading.balance.",
            kind,
            b".",
            world.user.to_string().as_bytes(),
        ]
        .concat();
        publish_raw(&world.nats, &subject, b"", event.as_bytes()).await?;
        let bare = [b"trading.balance.", kind].concat();
        publish_raw(&world.nats, &bare, b"", event.as_bytes()).await?;
    }
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    world
        .run_until("four letters and the good event", async || {
            world
                .expect_count(
                    "SELECT count(*) FROM dead_letters WHERE code = 'UNKNOWN_SUBJECT'",
                    4,
                )
                .await?;
            world
                .expect_count("SELECT count(*) FROM transactions", 1)
                .await
        })
        .await
}

#[tokio::test]
async fn a_letter_with_headers_as_long_as_the_stream_takes_is_kept() -> Result<()> {
    let world = World::new().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let mut headers = b"NATS/1.0\r\n".to_vec();
    for number in 0..3 {
        headers.extend(format!("Long-{number}: {}\r\n", "\u{1}".repeat(20 * 1024)).into_bytes());
    }
    headers.extend(b"\r\n");
    publish_raw(
        &world.nats,
        subject.as_bytes(),
        &headers,
        &[b'x'; 65 * 1024],
    )
    .await?;
    world
        .run_until("the letter", async || {
            world
                .expect_count("SELECT count(*) FROM dead_letters", 1)
                .await
        })
        .await?;
    world
        .expect_count(
            "SELECT length(headers->'Long-2'->>0)::bigint FROM dead_letters",
            20 * 1024,
        )
        .await
}

#[tokio::test]
async fn times_and_texts_at_the_edge_of_what_is_json_are_kept_or_put_aside() -> Result<()> {
    let world = World::new().await?;
    let times = [
        "0000-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:60.999999999-23:59",
        "2016-12-31T23:59:60Z",
        "1969-12-31T23:59:59.999999999Z",
    ];
    for time in times {
        let mut event = world.credit(world.currency, "BTC", "1");
        event["timestamp"] = time.into();
        world.send(Kind::BalanceUpdated, &event).await?;
    }
    let subject = Kind::BalanceUpdated.subject_of(world.user);
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
        let event = world.credit(world.currency, "BTC", "1").to_string();
        let event = format!("{},\"metadata\":{metadata}}}", event.trim_end_matches('}'));
        world.publish_bytes(&subject, event.into_bytes()).await?;
    }
    world
        .run_until("postings and letters", async || {
            world
                .expect_count("SELECT count(*) FROM transactions", 7)
                .await?;
            world
                .expect_count(
                    "SELECT count(*) FROM dead_letters WHERE code = 'NOT_JSON'",
                    4,
                )
                .await
        })
        .await
}
