//! Tests of the fees of a fill.

use super::*;
use crate::ledger::{Command, FEES_MAX, Fee};

fn fee(payer: &str, amount: &str, position: Option<usize>) -> Fee {
    Fee {
        account: payer.parse().expect(payer),
        amount: amount.parse().expect(amount),
        position,
    }
}

/// Returns the fees of a fill whose fields are replaced.
fn fees_of(changes: &Value) -> Vec<Fee> {
    let event = filled(changes);
    let event = parse_text(Kind::OrderFilled, &event.to_string()).expect("valid");
    let Some(Command::Trade(trade)) = event.command() else {
        panic!("{event:?}")
    };
    trade.fees
}

/// Returns a fill whose fields are replaced; null removes one.
fn filled(changes: &Value) -> Value {
    let mut event = example(Kind::OrderFilled);
    for (name, value) in changes.as_object().expect("an object") {
        event["fill"][name] = value.clone();
    }
    event
}

#[test]
fn a_fill_may_list_its_fees() {
    let listed = json!([
        {"account_id": FEE, "amount": "0.5"},
        {"account_id": STOCK, "amount": -0.1},
    ]);
    let beside = json!({"fees": listed});
    let instead = json!({"fees": listed, "fee": null, "fee_account_id": null});
    let listed = [fee(FEE, "0.5", Some(0)), fee(STOCK, "-0.1", Some(1))];

    let mut expected = vec![fee(FEE, "0.001", None)];
    expected.extend(listed.clone());
    assert_eq!(fees_of(&beside), expected);
    expected[0] = fee(ACCOUNT, "0", None);
    assert_eq!(fees_of(&instead), expected);
    assert_eq!(fees_of(&json!({"fees": []})).len(), 1);
}

#[test]
fn keeps_the_texts_of_listed_fees_and_their_unknown_fields() {
    let listed = json!([{"account_id": FEE, "amount": 0.50, "tier": 3}]);
    let event = filled(&json!({"fees": listed}));

    let event = parse_text(Kind::OrderFilled, &event.to_string()).expect("valid");

    assert_eq!(event.info["raw"]["fill.fees[0].amount"], "0.5");
    let unknown = json!({"fill": {"fees": {"fill.fees[0].tier": 3}}});
    assert_eq!(event.info["unknown"], unknown);
}

#[test]
fn a_fill_needs_a_fee_or_a_list_of_fees() {
    let none = filled(&json!({"fee": null}));
    let listed = filled(&json!({"fee": null, "fees": []}));

    assert_eq!(code(Kind::OrderFilled, &none.to_string()), "MISSING_FIELD");
    assert!(parse_value(Kind::OrderFilled, &listed).is_ok());
}

#[test]
fn a_fill_has_at_most_four_fees_in_all() {
    let fees = |count| vec![json!({"account_id": FEE, "amount": "1"}); count];
    let outcome = |fee: &str, count| {
        let event = filled(&json!({"fee": fee, "fees": fees(count)}));
        parse_value(Kind::OrderFilled, &event)
    };

    assert!(outcome("0", FEES_MAX).is_ok());
    assert!(outcome("1", FEES_MAX - 1).is_ok());
    for (fee, count) in [("0", FEES_MAX + 1), ("1", FEES_MAX)] {
        let malformed = outcome(fee, count).expect_err("too many");
        assert!(malformed.to_string().contains("at most 4"), "{malformed}");
    }
}

#[test]
fn rejects_fees_that_are_not_a_list_of_accounts_with_amounts() {
    for fees in [
        json!("0.1"),
        json!({}),
        json!(["0.1"]),
        json!([{"account_id": FEE, "amount": "much"}]),
        json!([{"account_id": "no uuid", "amount": "1"}]),
    ] {
        let event = filled(&json!({"fees": fees})).to_string();
        assert_eq!(code(Kind::OrderFilled, &event), "INVALID_VALUE", "{event}");
    }
    let incomplete = filled(&json!({"fees": [{"account_id": FEE}]}));
    let malformed = parse_value(Kind::OrderFilled, &incomplete).expect_err("incomplete");
    assert_eq!(
        malformed.to_string(),
        "the field fill.fees[0].amount is missing"
    );
}

#[test]
fn listed_fees_are_part_of_the_content() {
    let hash = |changes: Value| {
        let event = parsed(Kind::OrderFilled, &filled(&changes));
        event.content_hash
    };
    let one = json!([{"account_id": FEE, "amount": "1"}]);
    let same = json!([{"amount": 1.0, "account_id": FEE}]);
    let other_amount = json!([{"account_id": FEE, "amount": "2"}]);
    let other_account = json!([{"account_id": STOCK, "amount": "1"}]);

    assert_eq!(hash(json!({"fees": one})), hash(json!({"fees": same})));
    assert_eq!(hash(json!({"fees": []})), hash(json!({})));
    for other in [json!([]), other_amount, other_account] {
        assert_ne!(hash(json!({"fees": one})), hash(json!({"fees": other})));
    }
}
