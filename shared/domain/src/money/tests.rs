//! Tests of exact decimals.

use super::booked::UNITS_LIMIT;
use super::*;
use proptest::prelude::*;

fn number(text: &str) -> Number {
    text.parse().expect(text)
}

#[test]
fn parses_every_spelling_exactly() {
    for (text, expected) in [
        ("0.1", "0.1"),
        ("1e-8", "0.00000001"),
        (
            "123456789012345.123456789012",
            "123456789012345.123456789012",
        ),
        (
            "9999999999999999.999999999999",
            "9999999999999999.999999999999",
        ),
        ("1.10", "1.1"),
        ("-3.50", "-3.5"),
        ("1E+3", "1000"),
        ("0.000000000001", "0.000000000001"),
        ("0.1000000000000000", "0.1"),
    ] {
        assert_eq!(number(text).to_money().expect(text).to_string(), expected);
    }
}

#[test]
fn rejects_13_places_and_17_integer_digits() {
    assert!(number("0.0000000000001").has_too_many_places());
    assert_eq!(number("0.0000000000001").to_money(), None);
    assert_eq!(number("10000000000000000").to_money(), None);
    assert_eq!(number("1e64").to_money(), None);
    assert_eq!(number("-1e64").to_money(), None);
}

#[test]
fn rejects_what_json_does_not_accept_as_a_number() {
    for text in [
        "", "-", "+1", ".5", "5.", "01", "1e", "1e+", "0x1", "1_000", "NaN", "inf", " 1", "1 ",
        "１",
    ] {
        assert_eq!(
            text.parse::<Number>(),
            Err(NumberError::NotANumber),
            "{text:?}"
        );
    }

    assert_eq!(
        "1".repeat(41).parse::<Number>(),
        Err(NumberError::TooManyDigits)
    );
    assert_eq!("1e65".parse::<Number>(), Err(NumberError::ExponentTooLarge));
    assert_eq!(
        "1e-1000000000000".parse::<Number>(),
        Err(NumberError::ExponentTooLarge)
    );
    assert!("1e-0000064".parse::<Number>().is_ok());
}

#[test]
fn a_product_is_rounded_half_to_even() {
    let product = number("1000000.000003002994").times(&number("1000.000500000999"));
    assert_eq!(product.to_string(), "1000000500.004001995501499999991006");
    assert_eq!(product.rounded().to_string(), "1000000500.004001995501");
    assert_eq!(number("0.0000000000005").rounded().to_string(), "0");
    assert_eq!(
        number("0.0000000000015").rounded().to_string(),
        "0.000000000002"
    );
}

proptest! {
    #[test]
    fn money_round_trips_through_text_and_database(units in -(UNITS_LIMIT - 1)..UNITS_LIMIT) {
        let money = Money::from_units(units).expect("in range");
        prop_assert_eq!(money.to_string().parse::<Money>().expect("own text"), money);
        prop_assert_eq!(Money::from_decimal(money.to_decimal()), Some(money));
        prop_assert_eq!(Number::from(money).to_money(), Some(money));
    }

    #[test]
    fn arbitrary_texts_never_panic(text in ".{0,60}") {
        let _outcome = text.parse::<Number>();
    }
}
