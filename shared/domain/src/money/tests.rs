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
        ("0.000000000000000001", "0.000000000000000001"),
        (
            "99999999999999999999.999999999999999999",
            "99999999999999999999.999999999999999999",
        ),
        ("0.1000000000000000", "0.1"),
    ] {
        assert_eq!(number(text).to_money().expect(text).to_string(), expected);
    }
}

#[test]
fn rejects_19_places_and_21_integer_digits() {
    assert!(number("0.0000000000000000001").has_too_many_places());
    assert_eq!(number("0.0000000000000000001").to_money(), None);
    assert_eq!(number("100000000000000000000").to_money(), None);
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
        "1".repeat(1_001).parse::<Number>(),
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
    let product = number("1000000.000000003002994").times(&number("1000.000000500000999"));
    assert_eq!(
        product.to_string(),
        "1000000000.500004001994001501499999991006"
    );
    assert_eq!(
        product.rounded().to_string(),
        "1000000000.500004001994001501"
    );
    assert_eq!(number("0.0000000000000000005").rounded().to_string(), "0");
    assert_eq!(
        number("0.0000000000000000015").rounded().to_string(),
        "0.000000000000000002"
    );
}

#[test]
fn a_price_is_returned_as_given_up_to_forty_digits() {
    for (text, expected) in [
        ("0.0000000001236", "0.0000000001236"),
        ("4e-13", "0.0000000000004"),
        ("30000.10", "30000.1"),
        (
            "1.234567890123456789012345678901234567895",
            "1.234567890123456789012345678901234567895",
        ),
    ] {
        assert_eq!(Price::from(number(text)).to_string(), expected);
    }

    let longer = number("1.2345678901234567890123456789012345678").times(&number("1.0001"));
    assert_eq!(longer.to_string().len(), 43);
    assert_eq!(Price::from(longer.clone()).to_string().len(), 41);
    assert!(
        longer
            .to_string()
            .starts_with(&Price::from(longer).to_string()[..40])
    );
}

#[test]
fn the_price_of_an_exchange_has_at_most_forty_digits() {
    let price = |quote: &str, base: &str| {
        let money = |text: &str| text.parse::<Money>().expect(text);
        Price::of_exchange(money(quote), money(base)).map(|price| price.to_string())
    };

    assert_eq!(price("100", "8").as_deref(), Some("12.5"));
    assert_eq!(
        price("2", "3").as_deref(),
        Some("0.6666666666666666666666666666666666666667")
    );
    let least = "0.000000000000000001";
    let most = "99999999999999999999";
    assert_eq!(
        price(least, most).as_deref(),
        Some("0.00000000000000000000000000000000000001000000000000000000010000000000000000000")
            .map(|text| text.trim_end_matches('0'))
    );
    assert_eq!(price("0", "3").as_deref(), Some("0"));
    assert_eq!(price("3", "0"), None);
}

#[test]
fn sums_out_of_range_are_no_money() {
    let largest = Money::from_units(UNITS_LIMIT - 1).expect("in range");

    assert_eq!(largest.checked_add(largest), None);
    assert_eq!(
        Money::ZERO
            .checked_sub(largest)
            .and_then(|least| least.checked_sub(largest)),
        None
    );
    assert_eq!(number("1e64").units_rounded(), UNITS_LIMIT);
    assert_eq!(number("-1e64").units_rounded(), -UNITS_LIMIT);
}

proptest! {
    #[test]
    fn money_round_trips_through_text(units in -(UNITS_LIMIT - 1)..UNITS_LIMIT) {
        let money = Money::from_units(units).expect("in range");
        prop_assert_eq!(money.to_string().parse::<Money>().expect("own text"), money);
        prop_assert_eq!(Number::from(money).to_money(), Some(money));
    }

    #[test]
    fn an_exchange_at_its_price_gives_the_quote_back(quote in 0..UNITS_LIMIT, base in 1..UNITS_LIMIT) {
        let quote = Money::from_units(quote).expect("in range");
        let base = Money::from_units(base).expect("in range");

        let price = Price::of_exchange(quote, base).expect("a base");

        let again = price.number().times(&base.into()).rounded();
        prop_assert_eq!(again, Number::from(quote));
    }

    #[test]
    fn arbitrary_texts_never_panic(text in ".{0,60}") {
        let _outcome = text.parse::<Number>();
    }
}
