//! A running process while a newer program changes the schema.

use crate::world::book::Book;
use crate::world::{User, World};
use sqlx::{AssertSqlSafe, Executor};

/// More requests than the process has connections, so that each connection has prepared every statement.
const ROUNDS: usize = 12;

/// Adds a nullable column to every table.
async fn add_columns(world: &World) {
    let tables: Vec<String> = world
        .rows(
            "SELECT oid::regclass::text FROM pg_class \
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
        )
        .await
        .into_iter()
        .map(|(table,)| table)
        .collect();

    for table in tables {
        let add = format!("ALTER TABLE {table} ADD COLUMN column_of_a_newer_program text");
        world
            .pool()
            .execute(AssertSqlSafe(add))
            .await
            .expect("a column");
    }
}

/// Sends reads, lists and changes, several at once, all of which must succeed.
async fn work(user: &User<'_>, book: &Book) {
    let stock = &book.stock;
    let account = format!("/v1/sub-accounts/{stock}");
    let history = format!("/v1/transactions?sub_account_id={stock}");
    let reads = [
        "/v1/users/me",
        "/v1/tradings",
        "/v1/orders",
        "/v1/trading-logs",
        &account,
        &history,
    ];

    for _ in 0..ROUNDS {
        let read = async {
            for path in reads {
                user.get(path).await.data();
            }
        };
        let list = async {
            for path in reads.iter().rev() {
                user.get(path).await.data();
            }
        };
        let change = async {
            user.deposit(stock, "1").await.data();
        };
        tokio::join!(read, list, change);
    }
}

#[tokio::test]
async fn running_processes_serve_on_while_columns_are_added() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;

    work(&user, &book).await;
    add_columns(&world).await;
    work(&user, &book).await;

    assert_eq!(user.balance(&book.stock).await, "25");
}

/// A type that changes without another meaning invalidates every prepared statement that returns the column.
#[tokio::test]
async fn running_processes_serve_on_while_a_column_changes_its_type() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;

    work(&user, &book).await;
    world
        .execute(
            "ALTER TABLE sub_accounts ALTER COLUMN symbol TYPE varchar(200); \
             ALTER TABLE users ALTER COLUMN full_name TYPE varchar(200); \
             ALTER TABLE sessions ALTER COLUMN id TYPE uuid; \
             ALTER TABLE tradings ALTER COLUMN name TYPE varchar(200); \
             ALTER TABLE orders ALTER COLUMN order_id TYPE varchar(200)",
        )
        .await;
    work(&user, &book).await;

    assert_eq!(user.balance(&book.stock).await, "25");
}
