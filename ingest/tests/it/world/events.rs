//! Events of the world's bot, and their publication.

use super::World;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tiris_domain::event::Kind;
use uuid::Uuid;

/// The place of a message in its stream.
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) subject: String,
}

impl Stored {
    /// Returns the lane in the stored subject.
    pub(crate) fn lane(&self) -> Result<u16> {
        let token = self.subject.split('.').nth(3).context("no lane")?;
        Ok(token.parse()?)
    }
}

impl World {
    /// Returns an event with the common fields, a new id, and more `fields`.
    pub(crate) fn event(&self, kind: Kind, fields: Value) -> Value {
        let number = self.next_event.fetch_add(1, Ordering::Relaxed);
        let mut event = json!({
            "event_id": format!("e-{number:04}"),
            "event_type": kind.bare_subject(),
            "timestamp": "2026-01-02T03:04:05.678901Z",
            "user_id": self.user,
            "trading_id": self.trading,
            "source": "test-bot",
            "version": "1.0",
        });
        for (name, value) in fields.as_object().expect("an object") {
            event[name] = value.clone();
        }
        event
    }

    pub(crate) fn credit(&self, account: Uuid, symbol: &str, amount: &str) -> Value {
        let fields = json!({
            "sub_account_id": account,
            "symbol": symbol,
            "amount": amount,
            "direction": "credit",
            "reason": "test",
        });
        self.event(Kind::BalanceUpdated, fields)
    }

    pub(crate) fn debit(&self, account: Uuid, symbol: &str, amount: &str) -> Value {
        let mut event = self.credit(account, symbol, amount);
        event["direction"] = json!("debit");
        event
    }

    pub(crate) fn btc_credit(&self, amount: &str) -> Value {
        self.credit(self.currency, "BTC", amount)
    }

    pub(crate) fn btc_debit(&self, amount: &str) -> Value {
        self.debit(self.currency, "BTC", amount)
    }

    /// Returns a credit whose log cannot be inserted after [`World::fail_on_boom`].
    pub(crate) fn boom(&self, amount: &str) -> Value {
        let mut event = self.btc_credit(amount);
        event["message"] = json!("boom");
        event
    }

    pub(crate) fn lock(&self, amount: &str) -> Value {
        let fields = json!({"sub_account_id": self.currency, "symbol": "BTC", "amount": amount});
        self.event(Kind::BalanceLocked, fields)
    }

    /// Returns a filled order that buys ETH for BTC without a fee.
    pub(crate) fn fill(&self, volume: &str, price: &str) -> Value {
        let fields = json!({
            "sub_account_id": self.stock,
            "order_id": "o-1",
            "symbol": "ETH/BTC",
            "side": "buy",
            "type": "limit",
            "amount": volume,
            "price": price,
            "status": "filled",
            "fill": {
                "stock_account_id": self.stock,
                "currency_account_id": self.currency,
                "volume": volume,
                "price": price,
                "fee": "0",
            },
        });

        self.event(Kind::OrderFilled, fields)
    }

    /// Returns a filled order that buys ETH for BTC, with a fee of 1 that another account pays.
    pub(crate) fn fill_with_fee(&self, volume: &str, price: &str, payer: Uuid) -> Value {
        let mut event = self.fill(volume, price);
        event["fill"]["fee"] = json!("1");
        event["fill"]["fee_account_id"] = json!(payer);
        event
    }

    pub(crate) fn signal(&self) -> Value {
        let fields = json!({
            "signal_type": "buy",
            "symbol": "ETH/BTC",
            "confidence": 0.75,
            "strategy": "sma",
        });
        self.event(Kind::Signal, fields)
    }

    pub(crate) fn heartbeat(&self) -> Value {
        let fields = json!({
            "status": "healthy",
            "component": "trader",
            "metrics": {"load": 0.5},
        });
        self.event(Kind::Heartbeat, fields)
    }

    /// Returns the report of an error, which names no account.
    pub(crate) fn error(&self) -> Value {
        let fields = json!({
            "error_code": "E1",
            "error_message": "no funds",
            "severity": "high",
            "component": "exchange",
        });
        self.event(Kind::Error, fields)
    }

    /// Returns the subject of the user's balance updates.
    pub(crate) fn subject(&self) -> String {
        Kind::BalanceUpdated.subject_of(self.user)
    }

    /// Publishes an event on the subject of its type and the world's user. Returns its sequence in the stream.
    pub(crate) async fn send(&self, event: &Value) -> Result<u64> {
        let kind = event["event_type"].as_str().context("a type")?;
        let subject = format!("{kind}.{}", self.user);
        Ok(self.publish(&subject, event).await?.sequence)
    }

    /// Publishes events as fast as the broker takes them.
    pub(crate) async fn send_burst(&self, events: &[Value]) -> Result<()> {
        let mut acks = Vec::new();
        for event in events {
            let kind = event["event_type"].as_str().context("a type")?;
            let user = event["user_id"].as_str().context("a user")?;
            let subject = format!("{kind}.{user}");
            let payload = event.to_string().into_bytes();
            acks.push(self.jetstream().publish(subject, payload.into()).await?);
        }

        for ack in acks {
            ack.await?;
        }
        Ok(())
    }

    pub(crate) async fn send_all(&self, events: &[Value]) -> Result<()> {
        for event in events {
            self.send(event).await?;
        }
        Ok(())
    }

    /// Publishes this many credits of 1 BTC.
    pub(crate) async fn send_credits(&self, count: u32) -> Result<()> {
        for _ in 0..count {
            self.send(&self.btc_credit("1")).await?;
        }
        Ok(())
    }

    /// Publishes an event on the subject without a user.
    pub(crate) async fn send_bare(&self, event: &Value) -> Result<Stored> {
        let subject = event["event_type"].as_str().context("a type")?;
        self.publish(subject, event).await
    }

    /// Publishes bytes as a balance update.
    pub(crate) async fn send_bytes(&self, payload: impl Into<Vec<u8>>) -> Result<Stored> {
        self.publish_bytes(&self.subject(), payload.into()).await
    }

    pub(crate) async fn publish(&self, subject: &str, event: &Value) -> Result<Stored> {
        self.publish_bytes(subject, event.to_string().into_bytes())
            .await
    }

    pub(crate) async fn publish_bytes(&self, subject: &str, payload: Vec<u8>) -> Result<Stored> {
        let publish = self.jetstream().publish(subject.to_owned(), payload.into());
        let ack = publish.await?.await?;
        let stream = self.jetstream().get_stream(&ack.stream).await?;
        let stored = stream.get_raw_message(ack.sequence).await?;
        Ok(Stored {
            sequence: ack.sequence,
            subject: stored.subject.to_string(),
        })
    }
}
