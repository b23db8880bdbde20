//! The dead letters that a lane retries, when many users have some.

use crate::world::World;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::collections::BTreeSet;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::dead_letters::{Due, due};
use tiris_testing::Statements;
use uuid::Uuid;

const LANE: LaneKey = LaneKey {
    stream: EventStream::Trading,
    lane: 3,
};

/// More dead letters of a user, and more users, than a look at them includes.
const MANY: i64 = 1_200;

/// Inserts due dead letters, each of an account of its own: `count` of a user, or one of each of `count` users. The
/// sequences begin behind `first`.
async fn insert(pool: &PgPool, user: Option<Uuid>, count: i64, first: i64) {
    sqlx::query(
        "INSERT INTO dead_letters (id, stream, lane, stream_created_at, stream_seq, subject, payload, user_id, trading_id, \
             accounts, class, code, reason, next_attempt_at) \
         SELECT gen_random_uuid(), 'TRADING', 3, 7, $3 + n, 'a subject', '', coalesce($1, md5(n::text)::uuid), \
             md5('trading')::uuid, ARRAY[md5('account' || n)::uuid], 'unresolved', 'UNKNOWN_SUB_ACCOUNT', 'a test', \
             now() - interval '1 hour' + n * interval '1 ms' \
         FROM generate_series(1, $2) AS n",
    )
    .bind(user)
    .bind(count)
    .bind(first)
    .execute(pool)
    .await
    .expect("dead letters");
}

async fn look(pool: &PgPool, after: Option<Uuid>, limit: usize) -> Due {
    let mut connection = pool.acquire().await.expect("a connection");
    due(&mut connection, LANE, after, limit)
        .await
        .expect("due dead letters")
}

/// Returns the number of dead letters of each user among `due`, by user.
async fn counts_by_user(pool: &PgPool, due: &Due) -> Vec<(Uuid, i64)> {
    sqlx::query_as(
        "SELECT user_id, count(*) FROM dead_letters WHERE id = ANY($1) GROUP BY user_id ORDER BY user_id",
    )
    .bind(&due.letters)
    .fetch_all(pool)
    .await
    .expect("users")
}

/// Two users, of whom the first has many dead letters that came before the only one of the second.
struct Two {
    world: World,
    busy: Uuid,
    other: Uuid,
}

impl Two {
    async fn new() -> Self {
        let world = World::new().await;
        let busy = world.user.0;
        let other = Uuid::now_v7();
        insert(world.pool(), Some(busy), MANY, 0).await;
        insert(world.pool(), Some(other), 1, MANY).await;
        Self { world, busy, other }
    }
}

#[tokio::test]
async fn a_user_with_many_due_dead_letters_leaves_room_for_another() {
    let two = Two::new().await;
    let pool = two.world.pool();

    let many = look(pool, None, 100).await;
    let few = look(pool, None, 2).await;

    assert_eq!(
        counts_by_user(pool, &many).await,
        [(two.busy, 99), (two.other, 1)]
    );
    assert_eq!(
        counts_by_user(pool, &few).await,
        [(two.busy, 1), (two.other, 1)]
    );
    assert_eq!(many.next, None);
}

#[tokio::test]
async fn the_due_dead_letters_of_a_disabled_user_hold_up_no_other() {
    let two = Two::new().await;
    let pool = two.world.pool();
    let disable = "UPDATE users SET status = 'disabled' WHERE id = $1";
    sqlx::query(disable)
        .bind(two.busy)
        .execute(pool)
        .await
        .expect("disabled");

    let found = look(pool, None, 100).await;

    assert_eq!(counts_by_user(pool, &found).await, [(two.other, 1)]);
}

#[tokio::test]
async fn looks_continue_until_every_user_had_a_turn() {
    let world = World::new().await;
    insert(world.pool(), None, MANY, 0).await;

    let mut found = BTreeSet::new();
    let mut after = None;
    let mut looks = 0;
    loop {
        let due = look(world.pool(), after, 1_000).await;
        found.extend(due.letters);
        looks += 1;
        after = due.next;
        if after.is_none() {
            break;
        }
    }

    assert_eq!(i64::try_from(found.len()), Ok(MANY));
    // The last one finds no more users.
    assert_eq!(looks, 13);
}

#[tokio::test]
async fn a_look_at_one_dead_letter_leaves_the_next_user_to_the_next_look() {
    let world = World::new().await;
    let pool = world.pool();
    let [first, second] = [1, 2].map(Uuid::from_u128);
    insert(pool, Some(second), 3, 0).await;
    insert(pool, Some(first), 3, 3).await;

    let one = look(pool, None, 1).await;
    let other = look(pool, one.next, 1).await;

    assert_eq!(counts_by_user(pool, &one).await, [(first, 1)]);
    assert_eq!(counts_by_user(pool, &other).await, [(second, 1)]);
    assert_eq!(other.next, None);
}

/// Blocks that a look may read: those of the first dead letters of each user, and some for the jump to the next one. The table
/// has thousands.
const BLOCKS_MAX: u64 = 1_500;

#[tokio::test]
async fn a_look_reads_neither_all_dead_letters_nor_all_users() {
    let world = World::new().await;
    for number in 0..20_u8 {
        let user = Uuid::from_u128(u128::from(number) + 1);
        insert(world.pool(), Some(user), 5_000, 5_000 * i64::from(number)).await;
    }
    sqlx::query("ANALYZE dead_letters")
        .execute(world.pool())
        .await
        .expect("statistics");
    let recordable = Statements::recordable(world.database.url());
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&recordable).await.expect("a connection");
    let statements = Statements::record();

    look(&pool, None, 100).await;
    // Flushes the last statement.
    sqlx::query("SELECT 1").execute(&pool).await.expect("a row");

    let mut found = statements.take();
    found.retain(|statement| statement.text.contains("dead_letters"));
    assert_eq!(found.len(), 2, "{found:?}");
    for statement in &found {
        let scans = statement.scans().into_iter();
        let whole: Vec<_> = scans
            .filter(|scan| scan.table == "dead_letters" && !scan.kind.starts_with("Index"))
            .collect();
        assert_eq!(whole, [], "{}", statement.text);
        assert!(
            statement.blocks() <= BLOCKS_MAX,
            "{}: {}",
            statement.text,
            statement.blocks()
        );
    }
}
