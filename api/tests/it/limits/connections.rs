//! Limits of connections and of slow clients.

use crate::world::World;
use std::time::Duration;
use tiris_testing::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Between two pieces of a slow client.
const PACE: Duration = Duration::from_millis(100);

/// Sends `head` and then `drip` repeatedly until the server ends the connection; returns the response.
async fn trickle(world: &World, head: &str, drip: &str) -> String {
    let mut stream = connect(world).await;
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the beginning");

    let mut received = Vec::new();
    let end = async {
        loop {
            match tokio::time::timeout(PACE, stream.read_buf(&mut received)).await {
                // The next piece is due. Once the connection has ended, the next read returns so.
                Err(_) => drop(stream.write_all(drip.as_bytes()).await),
                // Whether a cut connection ends with an error depends on the bytes in transit.
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), end)
        .await
        .expect("the server keeps the connection open");

    String::from_utf8(received).expect("text")
}

#[tokio::test]
async fn a_slow_request_does_not_keep_its_connection() {
    let world = World::start_with(|settings| {
        settings.request_timeout = Duration::from_secs(1);
        settings.protection.head_timeout = Duration::from_secs(1);
    })
    .await;

    let head = trickle(&world, "GET / HTTP/1.1\r\nhost: x\r\n", "x-drip: 1\r\n").await;
    assert!(!head.contains(" 200 "), "{head}");

    let begin = "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 200000\r\n\r\n{";
    let body = trickle(&world, begin, " ").await;

    assert!(body.starts_with("HTTP/1.1 503 "), "{body}");

    world.anonymous("/").await.data();
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.address).await.expect("connected")
}

/// Sends a request and returns the length of the response.
async fn request(stream: &mut TcpStream) -> std::io::Result<usize> {
    stream.write_all(REQUEST).await?;
    stream.read(&mut [0; 4_096]).await
}

#[tokio::test]
async fn limits_the_connections_of_an_address() {
    let world = World::start_with(|settings| settings.protection.connections_per_address = 1).await;
    let mut first = connect(&world).await;
    assert!(request(&mut first).await.expect("an answer") > 0);

    let mut second = connect(&world).await;
    assert!(matches!(request(&mut second).await, Ok(0) | Err(_)));
    assert!(request(&mut first).await.expect("an answer") > 0);

    drop(first);
    let limit = Duration::from_secs(20);
    eventually("a free connection", limit, async || {
        let mut next = connect(&world).await;
        match request(&mut next).await {
            Ok(0) => Err("closed".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
    .expect("an answer");
}

#[tokio::test]
async fn a_client_waits_while_all_connections_are_in_use() {
    let world = World::start_with(|settings| settings.protection.connections = 1).await;
    let mut first = connect(&world).await;
    assert!(request(&mut first).await.expect("an answer") > 0);

    let mut second = connect(&world).await;
    second.write_all(REQUEST).await.expect("sent");
    let mut answer = [0; 4_096];
    assert!(second.try_read(&mut answer).is_err());

    // The server still serves the first connection.
    assert!(request(&mut first).await.expect("an answer") > 0);
    assert!(second.try_read(&mut answer).is_err());

    drop(first);
    assert!(second.read(&mut answer).await.expect("an answer") > 0);
}
