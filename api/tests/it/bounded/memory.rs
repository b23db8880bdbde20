//! The memory of the process while many clients request the largest answers at once.

use super::held::{Asked, Held, ask};
use super::{FEW_KEYS, insert_large};
use crate::service::Service;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Users, each with eight connections.
const USERS: usize = 4;
/// The highest peak of resident memory, in KiB.
const PEAK_KIB_MAX: u64 = 150 * 1024;
/// Rows of 60 KiB in each history: more than a page has room for.
const ROWS: i32 = 80;
/// Large answers of a user at once.
const LARGE_PER_USER: usize = 3;
/// Exports of a user at once.
const EXPORTS_PER_USER: usize = 2;
/// The size of a large answer at least.
const LARGE_BYTES: usize = 3 * 1024 * 1024;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// Returns the peak of the resident memory, in KiB.
fn peak(service: &Service) -> u64 {
    let path = format!("/proc/{}/status", service.process.pid());
    let status = std::fs::read_to_string(path).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.expect("a peak").split_whitespace().nth(1);
    words.expect("a number").parse().expect("a number")
}

/// A user with a trading whose histories have large rows.
struct Owner {
    token: String,
    trading: String,
    account: String,
}

impl Owner {
    async fn new(service: &Service, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let token = service.token(&["--email", email.as_str()]);
        let token = token.output().to_owned();
        let accounts = json!([{"name": "a", "symbol": "ETH"}]);
        let created: Value = service
            .http
            .post(format!("{}/v1/tradings", service.api))
            .bearer_auth(&token)
            .json(&json!({"name": "grid", "type": "paper", "sub_accounts": accounts}))
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        let trading = created["data"]["id"].as_str().expect("an id").to_owned();

        let pool = service.database.pool();
        let account: String =
            sqlx::query_scalar("SELECT id::text FROM sub_accounts WHERE trading_id = $1::uuid")
                .bind(&trading)
                .fetch_one(pool)
                .await
                .expect("an account");
        insert_large(pool, &account, ROWS, FEW_KEYS).await;
        Self {
            token,
            trading,
            account,
        }
    }

    /// Returns the requests for the largest answers, with their media types.
    fn requests(&self) -> Vec<(String, &'static str)> {
        let Self {
            trading, account, ..
        } = self;
        vec![
            ("/v1/transactions?limit=1000".to_owned(), JSON),
            ("/v1/transactions?limit=1000&offset=1".to_owned(), JSON),
            ("/v1/trading-logs?limit=1000".to_owned(), JSON),
            (
                format!("/v1/trading-logs/trading/{trading}?limit=1000"),
                JSON,
            ),
            ("/v1/transactions".to_owned(), CSV),
            ("/v1/transactions?direction=credit".to_owned(), CSV),
            (
                format!("/v1/tradings/{trading}/performance?quote=ETH"),
                JSON,
            ),
            (
                format!("/v1/sub-accounts/{account}/history?interval=hour"),
                JSON,
            ),
        ]
    }
}

/// Returns whether an answer is too large for all buffers between the service and a client that does not read.
fn is_large(answer: &Held) -> bool {
    answer.path.contains("limit=1000")
}

fn is_export(answer: &Held) -> bool {
    answer.path.starts_with("/v1/transactions") && !is_large(answer)
}

fn count(held: &[Held], kind: fn(&Held) -> bool) -> usize {
    held.iter().filter(|held| kind(held)).count()
}

/// Waits until as many answers have begun as can be in memory at once, and then reads all.
async fn read_all(requests: Vec<Asked>) -> Vec<Vec<u8>> {
    let mut waiting: FuturesUnordered<_> = requests.into_iter().map(Asked::begun).collect();
    let mut held: Vec<Held> = Vec::new();
    while count(&held, is_large) < USERS * LARGE_PER_USER
        || count(&held, is_export) < USERS * EXPORTS_PER_USER
    {
        held.push(waiting.next().await.expect("an answer"));
    }

    let mut bodies: FuturesUnordered<_> = held.into_iter().map(Held::read).collect();
    let mut read = Vec::new();
    loop {
        tokio::select! {
            Some(answer) = waiting.next() => bodies.push(answer.read()),
            Some(body) = bodies.next() => read.push(body),
            else => return read,
        }
    }
}

#[tokio::test]
async fn the_largest_answers_at_once_fit_into_memory() {
    // Unoptimized, the answers take long: only memory is tested here.
    let service = Service::start(&[
        ("TIRIS_DATABASE_ACQUIRE_SECONDS", "30"),
        ("TIRIS_REQUEST_SECONDS", "120"),
    ])
    .await;
    let address: SocketAddr = service
        .api
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let names = ["ann", "bob", "cleo", "dan"];
    let mut owners = Vec::new();
    for name in &names[..USERS] {
        owners.push(Owner::new(&service, name).await);
    }

    let requests = owners.iter().flat_map(|owner| {
        let requests = owner.requests().into_iter();
        requests.map(move |(path, accept)| async move {
            ask(address, &owner.token, &path, accept).await
        })
    });
    let bodies = read_all(join_all(requests).await).await;

    let large = bodies.iter().filter(|body| body.len() > LARGE_BYTES);
    assert_eq!(bodies.len(), USERS * 8);
    assert_eq!(large.count(), USERS * 6, "lists and exports are large");
    let peak = peak(&service);
    assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
}
