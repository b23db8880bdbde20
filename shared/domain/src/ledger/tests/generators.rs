//! Generators of commands with any figures.

use super::*;
use crate::ledger::FEES_MAX;
use proptest::collection::vec;
use proptest::prelude::*;

/// Generates amounts that are often of similar size, many of them with more places than the books keep, and figures at and
/// beyond every limit.
fn any_number() -> impl Strategy<Value = Number> {
    let small = (1u32..2_000, 0usize..4).prop_map(|(digits, places)| format!("{digits}e-{places}"));
    let fine =
        (0u32..2_000, "[0-9]{17,24}").prop_map(|(whole, places)| format!("{whole}.{places}"));
    let odd = prop::sample::select(vec![
        "0",
        "-1",
        "1e-18",
        "1e-19",
        "0.5e-18",
        "99999999999999999999.999999999999999999",
        "1e20",
        "1e64",
        "-1e64",
        "1e-64",
        "9999999999999999999999999999999999999999e64",
        "0.9999999999999999999999999999999999999999",
    ]);

    let long = "[1-9][0-9]{39}".prop_map(|digits| digits);

    prop_oneof![8 => small, 4 => fine, 2 => odd.prop_map(str::to_owned), 1 => long]
        .prop_filter_map("within limits", |text| text.parse().ok())
}

fn any_order() -> impl Strategy<Value = Option<OrderId>> {
    prop::sample::select(vec![None, order("A"), order("B")])
}

pub(super) fn any_account() -> impl Strategy<Value = AccountId> {
    prop_oneof![
        20 => prop::sample::select(vec![STOCK, CURRENCY, THIRD]),
        1 => prop::sample::select(vec![ELSEWHERE, FOREIGN, ABSENT]),
    ]
}

/// Returns the asset of an account of [`book`].
pub(super) fn asset_of(account: AccountId) -> Asset {
    match account {
        STOCK => asset("BTC"),
        THIRD => asset("BNB"),
        _ => asset("USDT"),
    }
}

fn any_belief() -> impl Strategy<Value = Belief> {
    let number = || prop::option::of(any_number());
    (number(), number()).prop_map(|(previous_balance, new_balance)| Belief {
        previous_balance,
        new_balance,
    })
}

fn any_movement() -> impl Strategy<Value = Command> {
    let direction = prop::sample::select(vec![Direction::Credit, Direction::Debit]);
    let amounts = (any_number(), any_belief());
    let order = (any_order(), proptest::option::of(Just(pair())));
    (any_account(), direction, amounts, order).prop_map(
        |(account, direction, (amount, belief), (order, pair))| {
            Command::Move(Movement {
                account,
                asset: asset_of(account),
                direction,
                amount,
                order,
                pair,
                reason: "test".to_owned(),
                belief,
            })
        },
    )
}

/// Generates fees of any accounts, a third of them rebates.
fn any_fees() -> impl Strategy<Value = Vec<Fee>> {
    let fee = (any_account(), any_number(), 0..3).prop_map(|(account, amount, kind)| Fee {
        account,
        amount: if kind == 0 { amount.negated() } else { amount },
        position: None,
    });
    vec(fee, 0..=FEES_MAX)
}

/// Generates a trade of any accounts, without figures.
fn any_accounts() -> impl Strategy<Value = Trade> {
    let side = prop::sample::select(vec![Side::Buy, Side::Sell]);
    (side, any_account(), any_account()).prop_map(|(side, stock_account, currency_account)| Trade {
        reason: "long",
        stock_account,
        stock: asset_of(stock_account),
        currency_account,
        currency: asset_of(currency_account),
        ..trade(side, "0", "0", "0")
    })
}

pub(super) fn any_trade() -> impl Strategy<Value = Command> {
    let product = (any_number(), any_number());
    let quote_amount = prop::option::of(any_number());
    let others = (quote_amount, any_fees());
    (any_accounts(), product, others, any_order()).prop_map(
        |(accounts, (volume, price), (quote_amount, fees), order)| {
            Command::Trade(Trade {
                volume,
                price,
                quote_amount,
                fees,
                order,
                ..accounts
            })
        },
    )
}

fn any_hold_command() -> impl Strategy<Value = Command> {
    let pairs = proptest::option::of(Just(pair()));
    let parts = (0..3, any_account(), any_number(), any_order(), pairs);

    parts.prop_map(|(kind, account, amount, order, pair)| {
        let hold = Hold {
            account,
            asset: asset_of(account),
            amount,
            order,
            pair,
        };
        match kind {
            0 => lasting(hold),
            1 => Command::Unlock(hold),
            _ => Command::Release(Release {
                account,
                hold: HoldKey {
                    order: hold.order,
                    pair: hold.pair,
                },
            }),
        }
    })
}

/// Returns steps of orders, on the pair of trades or on another one.
fn any_order_event() -> impl Strategy<Value = Command> {
    let steps = prop_oneof![
        Just(OrderStep::Created),
        any::<bool>().prop_map(|ends| OrderStep::Filled { ends }),
        Just(OrderStep::Cancelled),
        Just(OrderStep::Failed),
    ];
    let pairs = prop_oneof![3 => Just(pair()), 1 => Just("BNB/USDT".parse().expect("a pair"))];
    let parts = (
        any_account(),
        any_order(),
        pairs,
        prop::sample::select(vec![Side::Buy, Side::Sell]),
        any_number(),
        steps,
    );

    parts.prop_map(|(account, order, pair, side, amount, step)| match order {
        Some(order) => Command::Order(OrderEvent {
            account: Some(account),
            order,
            pair,
            side,
            terms: OrderTerms {
                kind: "limit".to_owned(),
                amount,
                price: None,
            },
            step,
        }),
        None => Command::Record {
            account: Some(account),
        },
    })
}

pub(super) fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        any_movement(),
        any_trade(),
        any_hold_command(),
        any_order_event()
    ]
}
