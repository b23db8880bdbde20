//! Rejections because of the user, trading or accounts.

use crate::world::{World, add_account, add_trading, add_user, credit};
use tiris_domain::ids::{AccountId, TradingId, UserId, new_id};
use tiris_domain::ledger::Rejection;
use tiris_store::ledger::{Disposition, Entry};

/// The world's user and trading, foreign ones, and unknown ids.
struct Cast {
    world: World,
    stranger: UserId,
    their_trading: TradingId,
    their_account: AccountId,
    /// An account of the user in another trading.
    elsewhere: AccountId,
    no_user: UserId,
    no_trading: TradingId,
    no_account: AccountId,
}

impl Cast {
    async fn new() -> Self {
        let world = World::new().await;
        let pool = world.pool();
        let stranger = add_user(pool).await;
        let their_trading = add_trading(pool, stranger).await;
        let their_account = add_account(pool, stranger, their_trading, "USDT").await;
        let other_trading = add_trading(pool, world.user).await;
        let elsewhere = add_account(pool, world.user, other_trading, "USDT").await;

        Self {
            world,
            stranger,
            their_trading,
            their_account,
            elsewhere,
            no_user: UserId(new_id()),
            no_trading: TradingId(new_id()),
            no_account: AccountId(new_id()),
        }
    }

    async fn refuses(&self, entry: Entry, expected: Rejection) {
        let outcome = self.world.outcome(entry).await;
        assert_eq!(outcome, expected.code());
    }

    /// Expects that a credit with these ids is rejected.
    async fn refuses_credit(
        &self,
        user: UserId,
        trading: TradingId,
        account: AccountId,
        expected: Rejection,
    ) {
        let event_id = new_id().to_string();
        let entry = Entry {
            user,
            trading,
            ..self.world.event(&event_id, 1, credit(account, "USDT", "1"))
        };
        self.refuses(entry, expected).await;
    }
}

#[tokio::test]
async fn rejects_unknown_ids_in_order_of_precedence() {
    use Rejection::{UnknownSubAccount, UnknownTrading, UnknownUser};
    let cast = Cast::new().await;
    let user = cast.world.user;
    let trading = cast.world.trading;
    let none = cast.no_account;

    cast.refuses_credit(cast.no_user, cast.no_trading, none, UnknownUser)
        .await;
    cast.refuses_credit(user, cast.no_trading, none, UnknownTrading)
        .await;
    cast.refuses_credit(user, trading, none, UnknownSubAccount)
        .await;
    cast.refuses_credit(user, cast.their_trading, none, UnknownSubAccount)
        .await;
}

#[tokio::test]
async fn rejects_resources_of_another_user_or_trading() {
    use Rejection::OwnershipMismatch;
    let cast = Cast::new().await;
    let user = cast.world.user;
    let trading = cast.world.trading;

    cast.refuses_credit(
        user,
        cast.their_trading,
        cast.their_account,
        OwnershipMismatch,
    )
    .await;
    cast.refuses_credit(user, trading, cast.their_account, OwnershipMismatch)
        .await;
    cast.refuses_credit(user, trading, cast.elsewhere, OwnershipMismatch)
        .await;
    cast.refuses_credit(cast.stranger, trading, cast.world.usdt, OwnershipMismatch)
        .await;

    let figures = cast.world.figures(cast.their_account).await;
    assert_eq!(figures, "0, 0 locked, sequence 0");
}

#[tokio::test]
async fn checks_the_account_of_the_log() {
    let cast = Cast::new().await;
    let log = |account: AccountId| Entry {
        sub_account: Some(account),
        ..cast.world.entry(cast.world.credit("1"))
    };

    cast.refuses(log(cast.elsewhere), Rejection::OwnershipMismatch)
        .await;
    cast.refuses(log(cast.no_account), Rejection::UnknownSubAccount)
        .await;
}

#[tokio::test]
async fn rejects_an_amount_in_another_symbol() {
    let world = World::new().await;

    let outcome = world
        .outcome(world.entry(credit(world.btc, "USDT", "1")))
        .await;

    assert_eq!(outcome, Rejection::SymbolMismatch.code());
}

#[tokio::test]
async fn rejects_inactive_users() {
    let world = World::new().await;
    for (status, expected) in [
        ("disabled", "USER_DISABLED"),
        ("deleted", "USER_DELETED"),
        ("active", "applied"),
    ] {
        sqlx::query("UPDATE users SET status = $1")
            .bind(status)
            .execute(world.pool())
            .await
            .expect("set");

        let outcome = world.outcome(world.entry(world.credit("1"))).await;

        assert_eq!(outcome, expected, "{status}");
    }
}

#[tokio::test]
async fn rejects_a_deleted_trading() {
    let world = World::new().await;
    for (status, expected) in [
        ("deleting", "TRADING_DELETED"),
        ("deleted", "TRADING_DELETED"),
        ("paused", "applied"),
    ] {
        sqlx::query("UPDATE tradings SET status = $1")
            .bind(status)
            .execute(world.pool())
            .await
            .expect("set");

        let outcome = world.outcome(world.entry(world.credit("1"))).await;

        assert_eq!(outcome, expected, "{status}");
    }
}

#[tokio::test]
async fn rejects_a_deleted_account() {
    let world = World::new().await;
    sqlx::query("UPDATE sub_accounts SET deleted_at = now() WHERE id = $1")
        .bind(world.usdt.0)
        .execute(world.pool())
        .await
        .expect("deleted");

    let outcome = world.outcome(world.entry(world.credit("1"))).await;

    assert_eq!(outcome, "ACCOUNT_DELETED");
}

#[tokio::test]
async fn a_deleted_fee_account_is_named_with_what_it_would_pay() {
    let world = World::new().await;
    sqlx::query("UPDATE sub_accounts SET deleted_at = now() WHERE id = $1")
        .bind(world.bnb.0)
        .execute(world.pool())
        .await
        .expect("deleted");

    let batch = world
        .apply(&[world.entry(world.buy("1", "10", None))])
        .await;

    let [Disposition::DeadLetter(cause)] = batch.dispositions.as_slice() else {
        panic!("{batch:?}")
    };
    let needed = format!("0.5 BNB needed on sub-account {}, 5 available", world.bnb);
    assert!(cause.to_string().ends_with(&needed), "{cause}");
}
