//! Lists of orders use an index.

use super::{Recorded, id};
use crate::world::User;
use crate::world::book::Book;
use tiris_testing::Statement;

/// Orders, of which one in a hundred is the caller's, and a tenth of these is open.
const ORDERS: i32 = 40_000;
const INSERT: &str = "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, side, status, first_event_time, \
        last_event_time, created_at, updated_at) \
    SELECT gen_random_uuid(), CASE n % 100 WHEN 0 THEN $2 ELSE $4 END, CASE n % 100 WHEN 0 THEN $3 ELSE $5 END, 'ETH/BTC', \
        'o' || n, 0, 'buy', CASE n % 1000 WHEN 0 THEN 'open' ELSE 'filled' END, at, at, at, at \
    FROM generate_series(1, $1) AS n, LATERAL (SELECT now() - n * interval '1 minute' AS at) AS time";

async fn fill(user: &User<'_>, book: &Book, other: &User<'_>, theirs: &Book) {
    sqlx::query(INSERT)
        .bind(ORDERS)
        .bind(user.id.0)
        .bind(id(&book.trading))
        .bind(other.id.0)
        .bind(id(&theirs.trading))
        .execute(user.world.pool())
        .await
        .expect("orders");
    user.world.execute("ANALYZE orders").await;
}

#[tokio::test]
async fn every_list_of_orders_uses_an_index() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let other = recorded.world.user("bob").await;
    let book = user.book("grid", "10", "10").await;
    let theirs = other.book("grid", "10", "10").await;
    fill(&user, &book, &other, &theirs).await;

    for query in [
        String::new(),
        format!("trading_id={}", book.trading),
        format!("trading_id={}&order_id=o100", book.trading),
        "status=open".to_owned(),
        "status=filled&limit=1000".to_owned(),
        "symbol=ETH/BTC".to_owned(),
        "order_id=o100".to_owned(),
        "from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z".to_owned(),
    ] {
        let path = format!("/v1/orders?{query}");
        let statements = recorded
            .during(async || assert!(!user.get(&path).await.list("orders").is_empty()))
            .await;

        let scans = statements.iter().flat_map(Statement::scans);
        let of_orders: Vec<_> = scans.filter(|scan| scan.table == "orders").collect();
        assert!(!of_orders.is_empty(), "{path}");
        let is_whole = of_orders.iter().any(|scan| scan.kind.contains("Seq"));
        assert!(!is_whole, "{path}: {of_orders:?}");
    }
}
