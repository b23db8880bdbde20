//! Transactions as CSV.

use crate::openapi::operations;
use crate::world::{User, World};
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::Duration;
use tiris_testing::{eventually, grow_history};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const EXPORT: &str = "/v1/transactions/export";

/// Parses CSV by RFC 4180.
fn records(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut record = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = text.chars().peekable();

    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted => assert_eq!(letters.peek(), Some(&'\n')),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                all.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }

    assert!(
        !quoted && cell.is_empty() && record.is_empty(),
        "the last line ends"
    );

    all
}

async fn csv(user: &User<'_>, query: &str) -> Vec<Vec<String>> {
    let answer = user.get(&format!("{EXPORT}{query}")).await;

    answer.assert_status(200);
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("x-request-id").is_empty());

    records(&answer.text)
}

#[tokio::test]
async fn a_csv_has_the_rows_of_the_list() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let mut trade = book.trade_with("long", "order_id", "a,\"b\"\r\nc, ü");
    trade["info"]["note"] = json!("line\nbreak, \"quoted\"");
    user.log(trade).await;

    let listed = user.get("/v1/transactions").await;
    let found = csv(&user, "").await;

    let rows = listed.list("transactions");
    let fields: Vec<&String> = rows[0].as_object().expect("an object").keys().collect();
    let header: Vec<&String> = found[0].iter().collect();
    assert_eq!(header, fields);
    assert_eq!(found.len(), rows.len() + 1);
    for (row, record) in rows.iter().zip(&found[1..]) {
        for (field, cell) in fields.iter().zip(record) {
            let expected = match &row[field.as_str()] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(*cell, expected, "{field}");
        }
    }
}

#[tokio::test]
async fn a_formula_in_a_csv_gets_an_apostrophe() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let formula = "=HYPERLINK(\"http://x\")";
    user.log(book.trade_with("long", "order_id", formula)).await;

    let found = csv(&user, "?reason=long&direction=debit").await;

    assert_eq!(found[1][13], format!("'{formula}"));
}

#[tokio::test]
async fn a_csv_has_all_rows_and_takes_no_page() {
    const POSTINGS: i32 = 3_001;
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "7").await;
    grow_history(world.pool(), book.stock.parse().expect("an id"), POSTINGS)
        .await
        .expect("a history");

    let all = csv(&user, &format!("?sub_account_id={}", book.stock)).await;
    let page = user.get(&format!("{EXPORT}?limit=2")).await;

    let sequence = |record: &Vec<String>| record[14].parse().expect("a number");
    let sequences: Vec<i32> = all[1..].iter().map(sequence).collect();
    let newest_first: Vec<i32> = (1..=POSTINGS).rev().collect();
    assert_eq!(sequences, newest_first);
    page.assert_error(400, "INVALID_REQUEST");
}

#[tokio::test]
async fn a_csv_holds_only_the_rows_of_its_filters() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let other = world.user("bob").await;
    let book = user.book("grid", "0", "7").await;
    other.book("grid", "1", "1").await;

    let filter = format!("?min_amount=2&direction=credit&trading_id={}", book.trading);
    let some = csv(&user, &filter).await;
    let none = csv(&user, "?reason=nothing").await;
    let of_other = csv(&other, "").await;
    let wrong = user.get(&format!("{EXPORT}?direction=up")).await;

    assert_eq!(some.len(), 2);
    assert_eq!(some[1][8], "7");
    // Only the header row.
    assert_eq!(none.len(), 1);
    assert_eq!(of_other.len(), 3);
    wrong.assert_error(400, "INVALID_VALUE");
}

#[test]
fn each_operation_documents_one_type_of_response() {
    for (method, path, operation) in operations() {
        let types: Vec<String> = operation["responses"]
            .as_object()
            .expect("responses")
            .iter()
            .filter(|(status, _)| status.starts_with('2'))
            .flat_map(|(_, response)| response["content"].as_object().expect("content").keys())
            .cloned()
            .collect();

        let expected = match path.as_str() {
            EXPORT => "text/csv",
            "/v1/stream" => "text/event-stream",
            _ => "application/json; charset=utf-8",
        };
        assert_eq!(types, [expected], "{method} {path}");
    }
}

#[tokio::test]
async fn a_list_is_an_export_for_a_client_that_prefers_csv() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.book("grid", "0", "7").await;

    let headers = [("accept", "text/csv")];
    let listed = user
        .get_with("/v1/transactions?min_amount=1&limit=1", &headers)
        .await;
    let export = user.get(&format!("{EXPORT}?min_amount=1")).await;

    assert_eq!(listed.text, export.text);
    assert_eq!(listed.header("vary"), "Accept");
}

#[tokio::test]
async fn a_client_that_prefers_json_gets_a_page() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.book("grid", "0", "7").await;

    for accept in ["*/*", "application/json, text/csv;q=0.5", "text/html"] {
        let headers = [("accept", accept)];
        let page = user.get_with("/v1/transactions?limit=1", &headers).await;
        assert_eq!(page.list("transactions").len(), 1, "{accept}");
        assert_eq!(page.header("vary"), "Accept");
    }
}

/// The rows that the API reads at once.
const PAGE_ROWS: usize = 200;
const WIDE_ROWS: usize = 1_200;

/// Inserts a history that exceeds all buffers between the API and a client that does not read.
async fn wide_history(world: &World, account: &str) {
    sqlx::query(
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id, info) \
         SELECT gen_random_uuid(), now() + n * interval '1 microsecond', a.user_id, a.trading_id, a.id, now(), \
             'credit', 'wide', 1, n, n, gen_random_uuid(), jsonb_build_object('x', repeat('x', 16000)) \
         FROM sub_accounts a, generate_series(1, $2) AS n WHERE a.id = $1::uuid",
    )
    .bind(account)
    .bind(i32::try_from(WIDE_ROWS).expect("few"))
    .execute(world.pool())
    .await
    .expect("rows");
}

/// Requests all transactions as CSV with a small receive buffer and reads only the status.
async fn begin(user: &User<'_>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(64 * 1024)
        .expect("a small buffer");
    let mut stream = socket.connect(user.world.address).await.expect("connected");
    let head = format!(
        "GET {EXPORT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         connection: close\r\n\r\n",
        user.token
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("a status");

    assert_eq!(&status, b"HTTP/1.1 200");

    stream
}

/// Returns the rest of an answer and whether it is complete.
async fn rest(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    // A reset connection is an incomplete answer.
    stream.read_to_end(&mut bytes).await.ok();
    let whole = bytes.ends_with(b"\r\n0\r\n\r\n");
    (String::from_utf8(bytes).expect("text"), whole)
}

/// Begins more unread answers than the API has database connections.
async fn slow_clients(world: &World) -> Vec<TcpStream> {
    let mut slow = Vec::new();
    for name in ["bob", "cleo", "dan", "eve", "fay"] {
        let other = world.user(name).await;
        let book = other.book("grid", "0", "0").await;
        wide_history(world, &book.stock).await;
        slow.extend([begin(&other).await, begin(&other).await]);
    }
    slow
}

#[tokio::test]
async fn slow_clients_do_not_block_others() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    wide_history(&world, &book.stock).await;
    let slow = slow_clients(&world).await;
    let mine = begin(&user).await;
    let last = begin(&user).await;

    let third = user.get(EXPORT).await;
    third.assert_error(429, "RATE_LIMITED");
    assert_eq!(third.header("retry-after"), "15");
    let trading = format!("/v1/tradings/{}", book.trading);
    assert_eq!(user.get(&trading).await.data()["name"], "grid");

    drop((slow, mine));
    let (text, is_whole) = rest(last).await;
    assert_eq!(text.matches(",wide,").count(), WIDE_ROWS);
    assert!(is_whole);

    eventually("a free slot", Duration::from_secs(10), async || {
        let answer = user.get(&format!("{EXPORT}?reason=nothing")).await;
        ensure!(answer.status == 200, "{answer}");
        Ok(())
    })
    .await
    .expect("a free slot");
}

#[tokio::test]
async fn a_csv_is_cut_off_when_its_session_ends() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;

    wide_history(&world, &book.stock).await;
    let begun = begin(&user).await;
    user.post("/v1/auth/logout", json!({})).await.data();
    let (text, is_whole) = rest(begun).await;

    assert!(!is_whole && text.matches(",wide,").count() < WIDE_ROWS);
}

/// Adds a row that the API cannot read, which becomes the oldest.
const POISON: &str = "
    DO $$ DECLARE part regclass; BEGIN
        ALTER TABLE transactions DROP CONSTRAINT transactions_direction_check;
        FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'transactions'::regclass LOOP
            EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS transactions_direction_check', part);
        END LOOP;
    END $$;
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
        closing_balance, sequence, trading_log_id)
    SELECT gen_random_uuid(), now(), user_id, trading_id, id, now(), 'sideways', 'poison', 1, 1, 1, gen_random_uuid()
    FROM sub_accounts LIMIT 1";

#[tokio::test]
async fn a_failure_in_the_middle_cuts_a_csv_off() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;

    world.execute(POISON).await;
    let refused = user.get(EXPORT).await;

    // A failure before the first byte is an error response.
    refused.assert_error(500, "INTERNAL_ERROR");

    let rows = i32::try_from(2 * PAGE_ROWS).expect("few");
    grow_history(world.pool(), book.stock.parse().expect("an id"), rows)
        .await
        .expect("a history");
    let (text, is_whole) = rest(begin(&user).await).await;
    // The connection may end before the pages in front of the failure are sent.
    let rows = text.matches(",deposit,").count();

    assert!(!is_whole && rows <= 2 * PAGE_ROWS, "{rows}");
}
