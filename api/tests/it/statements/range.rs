//! Date ranges, cursors and ids read only the partitions they need.

use super::{MANY_MONTHS, Recorded, cursor, fill, month, parts_read, stamp, whole_partitions};
use crate::world::text;
use chrono::Utc;
use uuid::Uuid;

#[tokio::test]
async fn a_range_of_dates_reads_only_its_partitions() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let parts = fill(&user, &book, MANY_MONTHS).await;
    let pool = recorded.world.pool();
    let from = month(pool, 21).await;
    let to = month(pool, 20).await;
    let of_account = format!("include_total=true&sub_account_id={}", book.stock);
    let place = cursor(to, Uuid::nil());
    let from_stamp = stamp(from);
    let range = format!("start_date={from_stamp}&end_date={}", stamp(to));

    for list in ["transactions", "trading-logs"] {
        for (query, until) in [
            (range.clone(), to),
            (format!("{range}&{of_account}"), to),
            (
                format!("start_date={from_stamp}&cursor={place}"),
                to + chrono::Duration::microseconds(1),
            ),
        ] {
            let found = recorded
                .during(async || {
                    let page = user.get(&format!("/v1/{list}?{query}")).await;
                    let rows = page.list(&list.replace('-', "_"));
                    assert!(!rows.is_empty(), "{page}");
                })
                .await;

            // Partitions that a page does not need are not read.
            let read = parts_read(&found, &parts);
            assert!(!read.is_empty(), "{query}");
            assert!(
                read.iter()
                    .all(|part| part.until > from && part.from < until),
                "{query}: {read:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_first_page_reads_only_the_newest_partitions() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let parts = fill(&user, &book, MANY_MONTHS).await;
    // Partitions are weekly on TimescaleDB.
    let of_transactions = parts.values().filter(|part| part.history == "transactions");
    assert!(of_transactions.count() > 24);

    let found = recorded
        .during(async || drop(user.get("/v1/transactions?limit=10").await.data().clone()))
        .await;

    let newest = month(recorded.world.pool(), 0).await - chrono::Duration::days(31);
    let read = parts_read(&found, &parts);
    assert!(read.iter().all(|part| part.until > newest), "{read:?}");
}

#[tokio::test]
async fn a_lookup_by_id_reads_only_one_partition() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let log = user.log(book.trade("long")).await;
    let parts = fill(&user, &book, MANY_MONTHS).await;
    let transaction = text(&log.data()["transaction_ids"][0]);

    for path in [
        format!("/v1/transactions/{transaction}"),
        format!("/v1/trading-logs/{}", log.id()),
    ] {
        let found = recorded
            .during(async || drop(user.get(&path).await.data().clone()))
            .await;

        let now = Utc::now();
        let read = parts_read(&found, &parts);
        assert_eq!(read.len(), 1, "{path}: {read:?}");
        assert!(read[0].from <= now && now < read[0].until, "{read:?}");
        assert!(whole_partitions(&found, &parts).is_empty(), "{found:?}");
    }
}
