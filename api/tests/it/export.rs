//! Transactions as CSV: all of them, exactly, however many.

use crate::world::{User, World};
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::Duration;
use tiris_testing::{eventually, grow_history};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const CSV: [(&str, &str); 1] = [("accept", "text/csv")];

/// Reads RFC 4180 as a spreadsheet does.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut cell, mut quoted) =
        (Vec::new(), Vec::new(), String::new(), false);
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
    let answer = user
        .get_with(&format!("/v1/transactions{query}"), &CSV)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        (answer.header("cache-control"), answer.header("vary")),
        ("no-store", "Accept")
    );
    assert!(!answer.header("x-request-id").is_empty());
    records(&answer.text)
}

#[tokio::test]
async fn a_csv_says_the_same_as_the_list() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    let mut trade = desk.trade("long");
    trade["info"]["order_id"] = json!("a,\"b\"\r\nc, ü");
    trade["info"]["note"] = json!("line\nbreak, \"quoted\"");
    user.post("/v1/trading-logs", trade).await.data();
    let listed = user.get("/v1/transactions").await;
    let rows = listed.data()["transactions"].as_array().expect("a list");
    let found = csv(&user, "").await;
    let fields: Vec<&String> = rows[0].as_object().expect("an object").keys().collect();
    assert_eq!(
        found[0].iter().collect::<Vec<_>>(),
        fields,
        "the header row names every field"
    );
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
async fn what_a_spreadsheet_would_run_has_an_apostrophe_before_it() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    let mut trade = desk.trade("long");
    trade["info"]["order_id"] = json!("=HYPERLINK(\"http://x\")");
    user.post("/v1/trading-logs", trade).await.data();
    let found = csv(&user, "?reason=long&direction=debit").await;
    assert_eq!(found[1][13], "'=HYPERLINK(\"http://x\")");
}

#[tokio::test]
async fn a_csv_holds_all_that_the_filters_select_whatever_the_page() {
    const POSTINGS: i32 = 3_001;
    let world = World::start().await;
    let (user, other) = (world.user("ann").await, world.user("bob").await);
    let desk = user.desk("grid", "0", "7").await;
    other.desk("grid", "1", "1").await;
    grow_history(
        world.database.pool(),
        desk.stock.parse().expect("an id"),
        POSTINGS,
    )
    .await
    .expect("a history");
    let all = csv(
        &user,
        &format!("?sub_account_id={}&limit=2&offset=5", desk.stock),
    )
    .await;
    let sequences: Vec<i32> = all[1..]
        .iter()
        .map(|record| record[14].parse().expect("a number"))
        .collect();
    assert_eq!(
        sequences,
        (1..=POSTINGS).rev().collect::<Vec<_>>(),
        "newest first, none twice, none left out"
    );
    let some = csv(
        &user,
        &format!("?min_amount=2&direction=credit&trading_id={}", desk.trading),
    )
    .await;
    assert_eq!((some.len(), some[1][8].as_str()), (2, "7"));
    assert_eq!(
        csv(&user, "?reason=nothing").await.len(),
        1,
        "the header row alone"
    );
    assert_eq!(csv(&other, "").await.len(), 3, "nobody else's");
    let wrong = user.get_with("/v1/transactions?direction=up", &CSV).await;
    assert_eq!(wrong.refusal(), (400, "INVALID_VALUE"));
    for accept in ["*/*", "application/json, text/csv;q=0.5", "text/html"] {
        let page = user
            .get_with("/v1/transactions?limit=1", &[("accept", accept)])
            .await;
        assert_eq!(
            page.data()["transactions"].as_array().map(Vec::len),
            Some(1),
            "{accept}"
        );
        assert_eq!(page.header("vary"), "Accept");
    }
}

/// What is read at once.
const PAGE_ROWS: usize = 200;
const WIDE_ROWS: usize = 1_200;

/// A history that fits into no buffer between the API and a client who does not read.
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
    .execute(world.database.pool())
    .await
    .expect("rows");
}

/// Asks for everything as CSV and reads no further than to the status, with little room for what comes.
async fn begin(user: &User<'_>) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_recv_buffer_size(64 * 1024)
        .expect("a small buffer");
    let mut stream = socket.connect(user.world.address).await.expect("connected");
    let head = format!(
        "GET /v1/transactions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\naccept: text/csv\r\n\
         connection: close\r\n\r\n",
        user.token
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.expect("a status");
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

/// The rest of an answer, and whether its end says that it is whole.
async fn rest(mut stream: TcpStream) -> (String, bool) {
    let mut bytes = Vec::new();
    // However the connection ends.
    stream.read_to_end(&mut bytes).await.ok();
    let whole = bytes.ends_with(b"\r\n0\r\n\r\n");
    (String::from_utf8(bytes).expect("text"), whole)
}

#[tokio::test]
async fn clients_that_read_slowly_or_go_away_keep_nothing_from_others() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    wide_history(&world, &desk.stock).await;
    // More than the API has connections to the database.
    let mut slow = Vec::new();
    for name in ["bob", "cleo", "dan", "eve", "fay"] {
        let other = world.user(name).await;
        let desk = other.desk("grid", "0", "0").await;
        wide_history(&world, &desk.stock).await;
        slow.extend([begin(&other).await, begin(&other).await]);
    }
    slow.push(begin(&user).await);
    let last = begin(&user).await;
    let third = user.get_with("/v1/transactions", &CSV).await;
    assert_eq!(
        (third.refusal(), third.header("retry-after")),
        ((429, "RATE_LIMITED"), "15")
    );
    assert_eq!(
        user.get(&format!("/v1/tradings/{}", desk.trading))
            .await
            .data()["name"],
        "grid"
    );
    drop(slow);
    let (text, is_whole) = rest(last).await;
    assert_eq!(
        (text.matches(",wide,").count(), is_whole),
        (WIDE_ROWS, true)
    );
    eventually(
        "places that are free again",
        Duration::from_secs(10),
        async || {
            let answer = user.get_with("/v1/transactions?reason=nothing", &CSV).await;
            ensure!(answer.status == 200, "{}", answer.text);
            Ok(())
        },
    )
    .await
    .expect("they are");
}

#[tokio::test]
async fn an_answer_is_cut_off_when_its_session_ends() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    wide_history(&world, &desk.stock).await;
    let begun = begin(&user).await;
    user.post("/v1/auth/logout", json!({})).await.data();
    let (text, is_whole) = rest(begun).await;
    assert!(!is_whole && text.matches(",wide,").count() < WIDE_ROWS);
}

/// The oldest row is one that cannot be read.
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
async fn trouble_on_the_way_cuts_the_answer_off_instead_of_ending_it() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    sqlx::raw_sql(POISON)
        .execute(world.database.pool())
        .await
        .expect("poison");
    let refused = user.get_with("/v1/transactions", &CSV).await;
    assert_eq!(
        refused.refusal(),
        (500, "INTERNAL_ERROR"),
        "before the answer begins, trouble is told"
    );
    let rows = i32::try_from(2 * PAGE_ROWS).expect("few");
    grow_history(
        world.database.pool(),
        desk.stock.parse().expect("an id"),
        rows,
    )
    .await
    .expect("a history");
    let (text, is_whole) = rest(begin(&user).await).await;
    // How much of the pages before it was under way when the connection ended is nobody's promise.
    let rows = text.matches(",deposit,").count();
    assert!(!is_whole && rows <= 2 * PAGE_ROWS, "{rows}");
}
