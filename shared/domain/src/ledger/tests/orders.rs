//! Tests of orders: what fills and steps make of them, and what they hold.

use super::generators::any_command;
use super::properties::fold;
use super::*;
use crate::states::{DriftKind, OrderStatus};
use proptest::collection::vec;
use proptest::prelude::*;

/// Returns a purchase for an order of the pair BTC/USDT.
fn fill(id: &str, volume: &str, price: &str, ends_order: bool) -> Command {
    Command::Trade(Trade {
        order: order(id),
        ends_order,
        ..trade(Side::Buy, volume, price, "0")
    })
}

/// Returns a lock of an amount of USDT for an order of a pair.
fn lock_for(amount: &str, id: &str, pair: Option<&str>) -> Command {
    lasting(Hold {
        pair: pair.map(|pair| pair.parse().expect("a pair")),
        ..held_amount(amount, order(id))
    })
}

fn cancel(id: &str) -> Command {
    step(id, Side::Buy, OrderStep::Cancelled)
}

/// Returns the only order with an id.
#[track_caller]
fn only(book: &Book, id: &str) -> crate::ledger::Order {
    let orders: Vec<_> = book.orders(TRADING, &id.parse().expect(id)).collect();
    match orders[..] {
        [order] => order.clone(),
        _ => panic!("{orders:?}"),
    }
}

fn kinds(effect: &Effect) -> Vec<DriftKind> {
    effect.drift_kinds().into_iter().collect()
}

#[test]
fn fills_add_up_to_their_order() {
    let mut book = book();
    effect(&mut book, &step("o", Side::Buy, OrderStep::Created));

    effect(&mut book, &fill("o", "0.25", "100", false));
    let partial = only(&book, "o");
    assert_eq!(partial.status, OrderStatus::PartiallyFilled);

    effect(&mut book, &fill("o", "0.75", "80", false));
    let filled = only(&book, "o");
    assert_eq!(filled.status, OrderStatus::Filled);
    assert_eq!(filled.filled, money("1"));
    assert_eq!(filled.quote_filled, money("85"));
    assert_eq!(filled.fills, 2);
    assert_eq!(filled.accounts, [STOCK, CURRENCY].into());
}

#[test]
fn one_id_on_two_pairs_is_two_orders() {
    let mut book = book();
    effect(&mut book, &lock_for("300", "512726567", Some("BTC/USDT")));
    effect(&mut book, &lock_for("500", "512726567", Some("ETH/USDT")));

    let done = effect(&mut book, &cancel("512726567"));

    assert!(done.drift.is_empty(), "{done:?}");
    assert_eq!(state(&book, CURRENCY), "1000, 500 locked");
}

#[test]
fn an_order_id_is_used_on_a_hundred_pairs_at_most() {
    let mut book = book();
    for number in 0..100 {
        let pair = format!("A{number}/USDT");
        effect(&mut book, &lock_for("0.5", "o", Some(&pair)));
    }

    rejects(&book, &cancel("o"), Rejection::OrderTooLarge);
    rejects(&book, &fill("o", "1", "1", true), Rejection::OrderTooLarge);

    effect(&mut book, &lock_for("0.5", "o", Some("A99/USDT")));
    effect(&mut book, &cancel("other"));
    assert_eq!(state(&book, CURRENCY), "1000, 50.5 locked");
}

#[test]
fn an_order_names_twenty_accounts_at_most() {
    let mut book = book();
    let mut lock = |number| {
        let id = AccountId(Uuid::from_u128(number));
        book.insert(account(id, OWNER, TRADING, "USDT", "1"));
        let lock = lasting(Hold {
            account: id,
            ..held_amount("1", order("o"))
        });
        let outcome = run(&book, &lock).map_err(|rejected| rejected.rejection);
        outcome.map(|effect| book.commit(&effect))
    };

    for number in 1_000..1_020 {
        lock(number).expect("within the limit");
    }
    assert_eq!(lock(1_020), Err(Rejection::OrderTooLarge));

    rejects(&book, &fill("o", "1", "1", false), Rejection::OrderTooLarge);

    let ended = effect(&mut book, &cancel("o"));
    assert_eq!(ended.holds.len(), 20);
}

/// Otherwise a batch would hold as many copies of the holds of an account as it has events.
#[test]
fn an_effect_names_only_the_holds_that_change() {
    let mut book = book();
    for id in ["a", "b", "c"] {
        effect(&mut book, &lock_for("1", id, None));
    }

    let done = effect(&mut book, &lock_for("2", "b", None));

    assert!(done.accounts.iter().all(|account| account.holds.is_empty()));
    assert_eq!(done.holds.len(), 1);
    assert_eq!(state(&book, CURRENCY), "1000, 5 locked");
    assert_eq!(held(&book, order("b")), money("3"));
}

#[test]
fn a_lock_without_a_pair_for_an_id_on_two_pairs_is_ambiguous() {
    let mut book = book();
    effect(&mut book, &lock_for("300", "o", Some("BTC/USDT")));
    effect(&mut book, &lock_for("500", "o", Some("ETH/USDT")));

    let done = effect(&mut book, &lock_for("10", "o", None));
    assert_eq!(kinds(&done), [DriftKind::AmbiguousOrder]);

    effect(&mut book, &cancel("o"));
    assert_eq!(state(&book, CURRENCY), "1000, 510 locked");
}

#[test]
fn a_lock_after_the_end_of_its_order_holds_nothing() {
    let mut book = book();
    effect(&mut book, &fill("p1", "0.001", "50000", true));

    let late = effect(&mut book, &lock_for("49.95", "p1", None));

    assert_eq!(kinds(&late), [DriftKind::OrderEnded]);
    assert_eq!(drift(&late), ["order_ended 49.95"]);
    assert_eq!(state(&book, CURRENCY), "950, 0 locked");
}

#[test]
fn an_order_filled_at_a_better_price_holds_nothing() {
    let mut book = book();
    effect(&mut book, &lock_for("55", "r1", None));

    effect(&mut book, &fill("r1", "0.8072303", "30", true));
    effect(&mut book, &fill("r1", "0.1927697", "55", true));

    assert_eq!(state(&book, CURRENCY), "965.1807575, 0 locked");
    let order = only(&book, "r1");
    assert_eq!(order.status, OrderStatus::Filled);
    assert_eq!(order.filled, money("1"));
    assert_eq!(order.quote_filled, money("34.8192425"));
}

#[test]
fn a_cancelled_order_releases_its_holds_on_all_accounts() {
    let mut book = book_with_holds(&[hold(STOCK, "s1", "1"), hold(CURRENCY, "s1", "242.4")]);

    let done = effect(&mut book, &cancel("s1"));

    assert!(done.postings.is_empty(), "{done:?}");
    assert_eq!(state(&book, STOCK), "10, 0 locked");
    assert_eq!(state(&book, CURRENCY), "1000, 0 locked");
}

#[test]
fn a_fill_beyond_the_amount_is_booked_as_drift() {
    let mut book = book();
    effect(&mut book, &step("o", Side::Buy, OrderStep::Created));

    let done = effect(&mut book, &fill("o", "1.5", "100", false));

    assert_eq!(drift(&done), ["overfilled 0.5"]);
    assert_eq!(only(&book, "o").filled, money("1.5"));
}

#[test]
fn a_repeated_lock_and_one_beyond_the_need_are_drift() {
    let mut book = book();
    effect(&mut book, &step("o", Side::Buy, OrderStep::Created));
    let first = effect(&mut book, &lock_for("100.5", "o", None));
    assert!(first.drift.is_empty(), "{first:?}");

    let second = effect(&mut book, &lock_for("100.5", "o", None));

    assert_eq!(
        drift(&second),
        ["repeated_lock 100.5", "hold_exceeds_order 101"]
    );
    assert_eq!(state(&book, CURRENCY), "1000, 201 locked");
    effect(&mut book, &cancel("o"));
    assert_eq!(state(&book, CURRENCY), "1000, 0 locked");
}

#[test]
fn a_market_order_without_price_and_amount_has_no_drift() {
    let mut book = book();
    let created = Command::Order(OrderEvent {
        account: Some(CURRENCY),
        order: "o".parse().expect("an id"),
        pair: pair(),
        side: Side::Buy,
        terms: OrderTerms {
            kind: "market".to_owned(),
            amount: number("0"),
            price: Some(number("0")),
        },
        step: OrderStep::Created,
    });

    for command in [
        created,
        lock_for("100", "o", None),
        fill("o", "0.5", "100", false),
    ] {
        let done = effect(&mut book, &command);
        assert!(done.drift.is_empty(), "{done:?}");
    }
}

#[test]
fn an_order_without_its_hold_is_drift_at_the_end() {
    let mut book = book();
    effect(&mut book, &lock_for("100", "o", Some("BTC/USDT")));
    let mut account = book.get(CURRENCY).expect("known").clone();
    account.holds.clear();
    account.locked = Money::ZERO;
    book.insert(account);

    let done = effect(&mut book, &cancel("o"));

    assert_eq!(kinds(&done), [DriftKind::NothingToRelease]);
}

#[test]
fn a_debit_that_uses_the_hold_up_leaves_nothing_to_release() {
    let mut book = book();
    effect(&mut book, &lock_for("100", "o", Some("BTC/USDT")));
    let debit = Command::Move(Movement {
        order: order("o"),
        ..movement(Direction::Debit, "100")
    });
    effect(&mut book, &debit);

    let done = effect(&mut book, &cancel("o"));

    assert!(done.drift.is_empty(), "{done:?}");
}

#[test]
fn a_debit_uses_the_hold_of_its_pair_when_an_id_is_used_on_two() {
    let mut book = book();
    effect(&mut book, &lock_for("100", "o", Some("BTC/USDT")));
    effect(&mut book, &lock_for("50", "o", Some("BNB/USDT")));
    let debit = |amount: &str, pair: Option<&str>| {
        Command::Move(Movement {
            order: order("o"),
            pair: pair.map(|pair| pair.parse().expect("a pair")),
            ..movement(Direction::Debit, amount)
        })
    };

    let named = effect(&mut book, &debit("30", Some("BNB/USDT")));
    let unnamed = effect(&mut book, &debit("30", None));

    assert!(named.drift.is_empty(), "{named:?}");
    assert_eq!(kinds(&unnamed), [DriftKind::AmbiguousOrder]);
    assert_eq!(state(&book, CURRENCY), "940, 120 locked");
}

#[test]
fn a_released_hold_is_gone_and_its_order_stays() {
    let mut book = book();
    effect(&mut book, &lock_for("100", "o", Some("BTC/USDT")));
    effect(&mut book, &lock_for("50", "other", None));
    let release = Command::Release(Release {
        account: CURRENCY,
        hold: HoldKey {
            order: order("o"),
            pair: Some(pair()),
        },
    });

    let done = effect(&mut book, &release);

    assert!(done.drift.is_empty(), "{done:?}");
    assert_eq!(state(&book, CURRENCY), "1000, 50 locked");
    assert_eq!(only(&book, "o").status, OrderStatus::Unknown);
    let cancelled = effect(&mut book, &cancel("o"));
    assert!(cancelled.drift.is_empty(), "{cancelled:?}");
}

#[test]
fn the_last_lock_decides_when_a_hold_expires() {
    let mut book = book();
    let expiry = "2026-11-24T10:00:00Z".parse().ok();
    let lock_until = |expires_at| {
        let hold = held_amount("10", order("o"));
        Command::Lock(Lock { hold, expires_at })
    };
    let held = |book: &Book| {
        book.get(CURRENCY)
            .expect("known")
            .held(&hold_key(order("o")))
    };

    effect(&mut book, &lock_until(expiry));
    assert_eq!(held(&book).expires_at, expiry);

    effect(&mut book, &unlock("5", order("o")));
    assert_eq!(
        held(&book).expires_at,
        expiry,
        "an unlock changes the amount only"
    );

    effect(&mut book, &lock_until(None));
    assert_eq!(held(&book).expires_at, None);
    assert_eq!(held(&book).amount, money("15"));
}

#[test]
fn the_orders_of_an_id_are_numbered() {
    let mut book = book();
    effect(&mut book, &lock_for("1", "o", None));
    effect(&mut book, &lock_for("1", "o", Some("BTC/USDT")));
    effect(&mut book, &lock_for("1", "o", Some("BNB/USDT")));

    let mut orders: Vec<_> = book.orders(TRADING, &"o".parse().expect("an id")).collect();
    orders.sort_by_key(|order| order.ordinal);
    let ordinals = orders
        .iter()
        .map(|order| (order.ordinal, order.key.pair.clone()));
    let expected = ["BTC/USDT", "BNB/USDT"].map(|pair| pair.parse().ok());
    assert_eq!(
        Vec::from_iter(ordinals),
        Vec::from_iter(expected.into_iter().enumerate())
    );
}

#[test]
fn the_sums_of_an_order_end_at_the_limit_of_the_books() {
    let mut book = book();
    let huge = "99999999999999999999";
    let fill = |side| {
        Command::Trade(Trade {
            order: order("o"),
            ..trade(side, huge, "0", "0")
        })
    };

    effect(
        &mut book,
        &Command::Trade(trade(Side::Sell, "10", "0", "0")),
    );
    effect(&mut book, &fill(Side::Buy));
    effect(&mut book, &fill(Side::Sell));

    assert_eq!(
        only(&book, "o").filled,
        money(huge).saturating_add(Money::MAX)
    );
    assert_eq!(state(&book, STOCK), "0, 0 locked");
}

#[test]
fn a_bot_may_unlock_before_it_cancels() {
    let mut book = book();
    effect(&mut book, &lock_for("100", "o", None));
    effect(&mut book, &unlock("100", order("o")));

    let done = effect(&mut book, &cancel("o"));

    assert!(done.drift.is_empty(), "{done:?}");
}

#[test]
fn an_order_that_ended_never_opens_again() {
    let mut book = book();
    for end in [OrderStep::Cancelled, OrderStep::Failed] {
        let id = format!("{end:?}");
        effect(&mut book, &step(&id, Side::Buy, end));

        effect(&mut book, &step(&id, Side::Buy, OrderStep::Created));
        effect(&mut book, &fill(&id, "0.5", "1", false));

        assert!(only(&book, &id).status.has_ended(), "{id}");
    }
}

proptest! {
    #[test]
    fn an_ended_order_holds_nothing(commands in vec(any_command(), 1..40)) {
        let mut book = book();
        let _effects = fold(&mut book, &commands);

        for id in ["A", "B"] {
            let id: OrderId = id.parse().expect(id);
            let orders: Vec<_> = book.orders(TRADING, &id).collect();
            let has_ended = |pair: Option<&Pair>| {
                let mut meant = orders.iter().filter(|order| pair.is_none() || order.key.pair.as_ref() == pair);
                meant.clone().next().is_some() && meant.all(|order| order.status.has_ended())
            };

            for account in book.accounts() {
                let mut held = account.holds.keys().filter(|key| key.order.as_ref() == Some(&id));
                prop_assert!(held.all(|key| !has_ended(key.pair.as_ref())), "{account:?} {orders:?}");
            }
        }
    }
}
