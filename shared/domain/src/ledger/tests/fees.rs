//! Tests of the fees and rebates of a trade.

use super::*;

#[test]
fn the_posting_that_pays_a_fee_states_it() {
    let fees = |trade| -> Vec<Option<Money>> {
        let postings = settled(trade).postings;
        postings.into_iter().map(|posting| posting.fee).collect()
    };
    let long = trade(Side::Buy, "2", "100.5", "0.3");
    let short = trade(Side::Sell, "2", "100.5", "0.3");
    let free = trade(Side::Sell, "2", "100.5", "0");
    let fee = Some(money("0.3"));

    assert_eq!(fees(long.clone()), [None, fee]);
    assert_eq!(fees(short), [None, fee]);
    assert_eq!(fees(free), [None, None]);
    for payer in [STOCK, THIRD] {
        assert_eq!(fees(paid_by(payer, long.clone())), [None, None, fee]);
    }
}

#[test]
fn a_fee_beyond_the_proceeds_is_debited_from_the_currency_account() {
    let sell = trade(Side::Sell, "1", "2", "2.5");

    let effect = settled(sell);

    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 2 short = 1002 #1",
        "debit 2 2.5 fee = 999.5 #2",
    ];
    assert_eq!(postings(&effect), expected);
    assert_eq!(effect.postings[1].fee, None);
    assert_eq!(effect.postings[2].fee, Some(money("2.5")));
}

#[test]
fn a_fee_equal_to_the_proceeds_is_booked() {
    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 2 short = 1002 #1",
        "debit 2 2 fee = 1000 #2",
    ];

    assert_eq!(lines(trade(Side::Sell, "1", "2", "2")), expected);
}

#[test]
fn rejects_a_fee_beyond_the_proceeds_and_the_balance() {
    let sell = |fee| trade(Side::Sell, "1", "2", fee);

    assert!(settle(sell("1002")).is_ok());
    rejects_trade(sell("1002.1"), Rejection::InsufficientBalance);
    rejects_trade(paid_by(THIRD, sell("5.1")), Rejection::InsufficientBalance);
}

#[test]
fn a_rebate_is_a_credit_of_its_own() {
    let book_of_case = || {
        let mut book = Book::default();
        book.insert(account(STOCK, OWNER, TRADING, "BTC", "1"));
        book.insert(account(CURRENCY, OWNER, TRADING, "USDT", "0"));
        book
    };
    let sell = trade(Side::Sell, "0.00751365", "12777.1", "-0.00480013");

    let effect = run(&book_of_case(), &Command::Trade(sell)).expect("applied");

    let expected = [
        "debit 1 0.00751365 short = 0.99248635 #1",
        "credit 2 96.002657415 short = 96.002657415 #1",
        "credit 2 0.00480013 rebate = 96.007457545 #2",
    ];
    assert_eq!(postings(&effect), expected);
    let rebate = &effect.postings[2];
    assert_eq!(rebate.fee, None);
    assert_eq!(rebate.price, None);
}

#[test]
fn a_trade_pays_several_fees_and_rebates() {
    let listed = [
        (CURRENCY, "0.2"),
        (THIRD, "1"),
        (STOCK, "0.5"),
        (CURRENCY, "-0.1"),
    ];
    let fees = |side| {
        let listed = listed.map(|(account, amount)| fee_of(account, amount));
        Trade {
            fees: listed.into(),
            ..trade(side, "2", "100", "0")
        }
    };

    let bought = [
        "credit 1 2 long = 12 #1",
        "debit 2 200.2 long = 799.8 #1",
        "credit 2 0.1 rebate = 799.9 #2",
        "debit 3 1 fee = 4 #1",
        "debit 1 0.5 fee = 11.5 #2",
    ];
    assert_eq!(lines(fees(Side::Buy)), bought);
    let sold = [
        "debit 1 2 short = 8 #1",
        "credit 2 199.8 short = 1199.8 #1",
        "credit 2 0.1 rebate = 1199.9 #2",
        "debit 3 1 fee = 4 #1",
        "debit 1 0.5 fee = 7.5 #2",
    ];
    assert_eq!(lines(fees(Side::Sell)), sold);
}

#[test]
fn fees_on_the_currency_account_add_up_within_its_leg() {
    let both = |side, price| Trade {
        fees: vec![fee_of(CURRENCY, "1"), fee_of(CURRENCY, "2")],
        ..trade(side, "1", price, "0")
    };

    let bought = settled(both(Side::Buy, "10"));
    assert_eq!(bought.postings[1].amount, money("13"));
    assert_eq!(bought.postings[1].fee, Some(money("3")));

    let expected = [
        "debit 1 1 short = 9 #1",
        "credit 2 2.5 short = 1002.5 #1",
        "debit 2 1 fee = 1001.5 #2",
        "debit 2 2 fee = 999.5 #3",
    ];
    assert_eq!(lines(both(Side::Sell, "2.5")), expected);
}

#[test]
fn a_separate_fee_is_the_last_posting() {
    let buy = trade(Side::Buy, "1", "100", "0.5");

    let effect = settled(paid_by(THIRD, buy.clone()));
    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 3 0.5 fee = 4.5 #1",
    ];
    assert_eq!(postings(&effect), expected);
    assert_eq!(effect.postings[2].price, None);
    assert_eq!(effect.postings[2].quote, None);

    let expected = [
        "credit 1 1 long = 11 #1",
        "debit 2 100 long = 900 #1",
        "debit 1 0.5 fee = 10.5 #2",
    ];
    assert_eq!(lines(paid_by(STOCK, buy)), expected);

    let free = paid_by(THIRD, trade(Side::Buy, "1", "100", "0"));
    assert_eq!(lines(free).len(), 2, "no fee, no posting");
}

#[test]
fn a_separate_fee_is_checked_after_the_other_legs() {
    let paid = |payer, side, fee| paid_by(payer, trade(side, "4", "1", fee));

    // Bought stock can pay the fee.
    for applied in [
        paid(STOCK, Side::Buy, "14"),
        paid(STOCK, Side::Sell, "6"),
        paid(THIRD, Side::Buy, "5"),
    ] {
        assert!(settle(applied.clone()).is_ok(), "{applied:?}");
    }
    for refused in [
        paid(STOCK, Side::Buy, "14.1"),
        paid(STOCK, Side::Sell, "6.1"),
        paid(THIRD, Side::Buy, "5.1"),
    ] {
        rejects_trade(refused, Rejection::InsufficientBalance);
    }
}
