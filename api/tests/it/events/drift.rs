//! The drift of logs that the API books, in its metrics.

use super::fixtures::{insert_letter, withdrawal};
use crate::service::Service;
use crate::world::book::Book;
use crate::world::text;
use serde_json::{Value, json};
use tiris_domain::states::DeadLetterClass;
use uuid::Uuid;

const REJECTED: (DeadLetterClass, &str) = (DeadLetterClass::Rejected, "INSUFFICIENT_BALANCE");

/// A user of the service with a trading.
struct Client<'a> {
    service: &'a Service,
    token: String,
    user: Uuid,
    book: Book,
}

async fn send(request: reqwest::RequestBuilder, token: &str) -> Value {
    let response = request.bearer_auth(token).send().await.expect("an answer");
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["success"], true, "{answer}");
    answer["data"].clone()
}

impl<'a> Client<'a> {
    async fn new(service: &'a Service) -> Self {
        let created = service
            .token(&["--email", "ann@example.com", "--json"])
            .json();
        let mut client = Self {
            service,
            token: text(&created["token"]),
            user: text(&created["user_id"]).parse().expect("an id"),
            book: Book {
                trading: String::new(),
                stock: String::new(),
                currency: String::new(),
            },
        };
        let trading = json!({
            "name": "grid",
            "type": "paper",
            "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": "10"},
                {"name": "currency", "symbol": "BTC", "initial_deposit": "10"},
            ],
        });
        let trading = client.post("/v1/tradings", trading).await;
        let accounts = service.http.get(format!("{}/v1/sub-accounts", service.api));
        let accounts = send(accounts, &client.token).await;
        let id = |symbol: &str| {
            let mut all = accounts["sub_accounts"]
                .as_array()
                .expect("accounts")
                .iter();
            text(
                &all.find(|account| account["symbol"] == symbol)
                    .expect(symbol)["id"],
            )
        };
        client.book = Book {
            trading: text(&trading["id"]),
            stock: id("ETH"),
            currency: id("BTC"),
        };
        client
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self
            .service
            .http
            .post(format!("{}{path}", self.service.api))
            .header("content-type", "application/json")
            .body(body.to_string());
        send(request, &self.token).await
    }

    /// Stores a rejected withdrawal whose bot assumes another balance.
    async fn dead_letter(&self, seq: i64) -> Uuid {
        let mut event = withdrawal(self.user, &self.book, seq, "1");
        event["new_balance"] = json!("77");
        let payload = event.to_string().into_bytes();
        insert_letter(
            self.service.database.pool(),
            self.user,
            seq,
            payload,
            REJECTED,
        )
        .await
    }

    /// Asserts how many logs with a kind of drift are counted.
    async fn assert_counted(&self, kind: &str, count: u32) {
        let line = format!("ledger_drift_total{{kind=\"{kind}\"}} {count}");
        let metrics = self.service.metrics().await;
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }
}

#[tokio::test]
async fn the_drift_of_requests_and_replays_is_counted_once() {
    let service = Service::start(&[]).await;
    let client = Client::new(&service).await;
    client.assert_counted("rounded", 0).await;
    client.assert_counted("balance", 0).await;

    let deposit = format!("/v1/sub-accounts/{}/deposit", client.book.stock);
    let amount = json!({"amount": "1.0000000000000000009"});
    client.post(&deposit, amount).await;
    client.assert_counted("rounded", 1).await;

    let one = client.dead_letter(1).await;
    let replay = format!("/v1/events/dead-letters/{one}/replay");
    client.post(&replay, json!({"dry_run": true})).await;
    client.assert_counted("balance", 0).await;
    client.post(&replay, json!({})).await;
    client.assert_counted("balance", 1).await;

    client.dead_letter(2).await;
    client.dead_letter(3).await;
    let many = "/v1/events/dead-letters/replay";
    let filter = json!({"class": "rejected"});
    let dry_run = json!({"filter": filter, "dry_run": true});
    client.post(many, dry_run).await;
    client.assert_counted("balance", 1).await;
    client.post(many, json!({"filter": filter})).await;
    client.assert_counted("balance", 3).await;
}
