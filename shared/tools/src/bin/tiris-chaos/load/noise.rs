//! The noise of a user: 50 MB of the events that cost the most.

use super::event::{Message, Order, Origin, pair};
use super::users::User;
use crate::run::Run;
use crate::seed::{self, Purpose};
use anyhow::Result;
use async_nats::jetstream;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::future::IntoFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

const BYTES: usize = 50_000_000;
/// Messages in flight.
const WINDOW: usize = 256;
/// Keys that almost fill an event.
const KEYS: usize = 4_800;
/// Above the numbers of all scripts and probes.
const FIRST_NUMBER: u32 = 60_000_000;
/// No client can parse a header line without a colon.
const UNREADABLE_HEADERS: &str = "NATS/1.0\r\nno colon\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Metadata,
    Fill,
    NotJson,
    UnknownTrading,
    Unreadable,
}

impl Kind {
    /// Draws a kind; together they have about 20 KB a message.
    fn draw(rng: &mut StdRng) -> Self {
        match rng.random_range(0..24) {
            0..6 => Self::Metadata,
            6..8 => Self::Fill,
            8 => Self::NotJson,
            9..18 => Self::UnknownTrading,
            _ => Self::Unreadable,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "noise: metadata",
            Self::Fill => "noise: fills with unknown fields",
            Self::NotJson => "noise: not JSON",
            Self::UnknownTrading => "noise: unknown tradings",
            Self::Unreadable => "noise: unreadable headers",
        }
    }
}

/// Publishes the noise as fast as the broker takes it.
pub(crate) async fn publish(run: &Run, user: &User) -> Result<()> {
    let mut rng = seed::stream(run.options.seed, Purpose::Noise);
    let context = jetstream::new(async_nats::connect(&run.system.bot_url).await?);
    let mut raw = RawPublisher::connect(run.system.nats.lock().await.port()).await?;
    let mut acks = VecDeque::new();
    let mut bytes = 0;

    for number in FIRST_NUMBER.. {
        if bytes >= BYTES {
            break;
        }
        run.options.check_stop()?;
        let kind = Kind::draw(&mut rng);
        let message = message(kind, user, number, &mut rng);
        bytes += message.payload.len();
        if kind == Kind::Unreadable {
            raw.publish(&message).await?;
        } else {
            let sent = context.publish(message.subject, message.payload.into());
            acks.push_back(sent.await?.into_future());
        }
        if acks.len() > WINDOW
            && let Some(ack) = acks.pop_front()
        {
            ack.await?;
        }
        run.published.count("messages");
        run.published.count(kind.name());
    }

    for ack in acks {
        ack.await?;
    }
    raw.finish().await
}

fn message(kind: Kind, user: &User, number: u32, rng: &mut StdRng) -> Message {
    let trading = &user.tradings[0];
    let account = &trading.accounts[0];
    let mut origin = Origin {
        user: user.id,
        trading: trading.id,
        number,
    };
    let mut credit = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": "0.001",
                            "direction": "credit", "reason": "noise"});
    match kind {
        Kind::Metadata => {
            credit["metadata"] = keys().into();
            origin.message("trading.balance.updated", credit)
        }
        Kind::Fill => {
            let order = Order {
                name: format!("noise-{number}"),
                side: "buy",
                volume: json!("0.001"),
                price: json!("0.5"),
            };
            let mut fields = order.filled(trading, &order.volume, &json!("0"), false);
            fields["symbol"] = pair(trading).into();
            fields["extra"] = keys().into();
            origin.message("trading.orders.filled", fields)
        }
        Kind::NotJson => Message {
            subject: format!("trading.balance.updated.{}", user.id),
            payload: format!("{{not json {number} {}", "x".repeat(60_000)).into(),
        },
        Kind::UnknownTrading => {
            origin.trading = Uuid::from_u128(rng.random());
            credit["sub_account_id"] = json!(Uuid::from_u128(rng.random()));
            credit["note"] = "x".repeat(600).into();
            origin.message("trading.balance.updated", credit)
        }
        Kind::Unreadable => origin.message("trading.balance.updated", credit),
    }
}

fn keys() -> Map<String, Value> {
    let keys = (0..KEYS).map(|key| (format!("k{key}"), json!(1)));
    keys.collect()
}

/// Publishes what no client library would.
struct RawPublisher(TcpStream);

impl RawPublisher {
    async fn connect(port: u16) -> Result<Self> {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
        socket
            .write_all(
                b"CONNECT {\"user\":\"bot\",\"pass\":\"bot\",\"verbose\":false,\"headers\":true,\"protocol\":1}\r\n",
            )
            .await?;
        Ok(Self(socket))
    }

    async fn publish(&mut self, message: &Message) -> Result<()> {
        let headers = UNREADABLE_HEADERS.len();
        let total = headers + message.payload.len();
        let line = format!("HPUB {} {headers} {total}\r\n", message.subject);
        let frame = [
            line.as_bytes(),
            UNREADABLE_HEADERS.as_bytes(),
            &message.payload,
            b"\r\n",
        ];
        Ok(self.0.write_all(&frame.concat()).await?)
    }

    /// Waits until the server has received everything.
    async fn finish(mut self) -> Result<()> {
        self.0.write_all(b"PING\r\n").await?;
        let mut received = Vec::new();
        while !String::from_utf8_lossy(&received).contains("PONG") {
            let count = self.0.read_buf(&mut received).await?;
            anyhow::ensure!(count > 0, "the server closed the connection");
        }
        Ok(())
    }
}
