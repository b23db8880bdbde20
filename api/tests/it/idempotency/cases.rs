//! Requests to the operations that accept an idempotency key.

use crate::bindings::new_binding;
use crate::events::fixtures::store_rejected;
use crate::exchanges::KEY;
use crate::openapi::operations;
use crate::world::User;
use crate::world::book::Book;
use reqwest::Method;
use serde_json::{Value, json};

/// Returns the operations that accept a key: every POST and PUT but those of signing in.
pub(crate) fn repeatable() -> Vec<(Method, String, Value)> {
    let all = operations().into_iter();
    all.filter(|(method, path, _)| {
        (method == "POST" || method == "PUT") && !path.starts_with("/v1/auth/")
    })
    .map(|(method, path, operation)| (method.parse().expect("a method"), path, operation))
    .collect()
}

/// The caller of an operation, the id in its path, and its body.
pub(crate) type Case<'u> = (&'u User<'u>, String, Value);

/// Requests to every operation that accepts a key.
pub(crate) struct Cases<'u> {
    ann: &'u User<'u>,
    root: &'u User<'u>,
    book: Book,
    binding: String,
}

impl<'u> Cases<'u> {
    pub(crate) async fn new(ann: &'u User<'u>, root: &'u User<'u>) -> Self {
        let book = ann.book("grid", "10", "10").await;

        let binding = ann
            .post("/v1/exchange-bindings", new_binding("mine", "gate", KEY))
            .await;
        Self {
            ann,
            root,
            book,
            binding: binding.id(),
        }
    }

    /// Stores a dead letter that can be replayed, at `seq` of its stream, and returns its id.
    async fn dead_letter(&self, seq: i64) -> String {
        store_rejected(self.ann, &self.book, seq, "1")
            .await
            .to_string()
    }

    /// Returns a request that succeeds.
    pub(crate) async fn of(&self, seq: i64, method: &Method, path: &str) -> Case<'u> {
        let book = &self.book;
        let filter = json!({"class": "rejected"});
        let operation = format!("{method} {path}");

        match operation.as_str() {
            "PUT /v1/users/me" => self.ann("", json!({"full_name": "Ann"})),
            "POST /v1/exchange-bindings" => self.ann("", new_binding("new", "okx", KEY)),
            "PUT /v1/exchange-bindings/{id}" => self.ann(&self.binding, json!({"name": "renamed"})),
            "POST /v1/exchange-bindings/{id}/verify" => self.ann(&self.binding, Value::Null),
            "POST /v1/tradings" => self.ann("", json!({"name": "new", "type": "paper"})),
            "PUT /v1/tradings/{id}" => self.ann(&book.trading, json!({"status": "paused"})),
            "PUT /v1/sub-accounts/{id}" => self.ann(&book.stock, json!({"info": {"seen": seq}})),
            "POST /v1/sub-accounts" => self.ann(
                "",
                json!({"trading_id": book.trading, "name": "x", "symbol": "X", "balance": "1"}),
            ),
            "POST /v1/sub-accounts/{id}/deposit" | "POST /v1/sub-accounts/{id}/withdraw" => {
                self.ann(&book.stock, json!({"amount": "1"}))
            }
            "POST /v1/trading-logs" => self.ann("", book.trade("long")),
            "PUT /v1/users/{id}/disable" => self.root(&self.user(seq, "active").await, json!({})),
            "PUT /v1/users/{id}/enable" => self.root(&self.user(seq, "disabled").await, json!({})),
            "POST /v1/events/dead-letters/{id}/replay" => {
                self.root(&self.dead_letter(seq).await, json!({}))
            }
            "POST /v1/events/dead-letters/{id}/discard" => {
                self.root(&self.dead_letter(seq).await, json!({"reason": "a test"}))
            }
            "POST /v1/events/dead-letters/replay" => {
                self.dead_letter(seq).await;
                self.root("", json!({"filter": filter}))
            }
            "POST /v1/events/dead-letters/discard" => {
                self.dead_letter(seq).await;
                self.root("", json!({"filter": filter, "reason": "a test"}))
            }
            "POST /v1/events/replay" => self.root(
                "",
                json!({"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"}),
            ),
            other => panic!("{other} has no case here"),
        }
    }

    fn ann(&self, id: &str, body: Value) -> Case<'u> {
        (self.ann, id.to_owned(), body)
    }

    fn root(&self, id: &str, body: Value) -> Case<'u> {
        (self.root, id.to_owned(), body)
    }

    /// Creates a user with this status and returns the id.
    async fn user(&self, seq: i64, status: &str) -> String {
        let user = self.ann.world.user(&format!("u{seq}")).await;
        user.set_status(status).await;
        user.id.to_string()
    }
}
