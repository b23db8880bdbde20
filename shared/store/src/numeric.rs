//! Columns of type `numeric` as types of the domain, in PostgreSQL's binary format.
//!
//! The format is a sign and digits to the base of 10,000: `digits[0] * 10000^weight + digits[1] * 10000^(weight - 1) + …`,
//! without leading and trailing zeros, and the number of decimal places to print.

use bigdecimal::BigDecimal;
use sea_orm::sea_query::{self, ArrayType, ColumnType, Nullable, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, RuntimeErr, TryGetError, TryGetable, Value};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row, Type};
use tiris_domain::money::{MONEY_INTEGER_DIGITS, MONEY_PLACES, Money, Number, Price};

/// The base of the binary format.
const BASE: u128 = 10_000;
/// Digits before the decimal point of any amount: 20 decimal ones.
const WHOLE_DIGITS: usize = 5;
/// Digits after the decimal point of any amount: 18 decimal ones and two zeros.
const FRACTION_DIGITS: usize = 5;
/// The position of the last digit of a fraction; the digit before the decimal point has position 0.
const FRACTION_LAST: i32 = -5;
/// Fills the last digit of the fraction up to four decimal ones.
const FRACTION_FILL: u128 = 100;
const UNITS_PER_ONE: u128 = 10u128.pow(MONEY_PLACES);
const NEGATIVE: u16 = 0x4000;
/// The marks of `NaN` and of both infinities.
const NOT_FINITE: [u16; 3] = [0xC000, 0xD000, 0xF000];
/// Bytes before the digits: four numbers of 16 bits.
const HEADER_BYTES: usize = 8;

/// A column of money, `numeric(38,18)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MoneyColumn(pub Money);

impl From<MoneyColumn> for Money {
    fn from(column: MoneyColumn) -> Self {
        column.0
    }
}

impl Type<Postgres> for MoneyColumn {
    fn type_info() -> PgTypeInfo {
        <BigDecimal as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for MoneyColumn {
    fn array_type_info() -> PgTypeInfo {
        <BigDecimal as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for MoneyColumn {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let units = self.0.units();
        let mut digits = [0_u16; WHOLE_DIGITS + FRACTION_DIGITS];
        let (whole, fraction) = digits.split_at_mut(WHOLE_DIGITS);
        split(units.unsigned_abs() / UNITS_PER_ONE, whole)?;
        split(
            units.unsigned_abs() % UNITS_PER_ONE * FRACTION_FILL,
            fraction,
        )?;

        let begin = digits.iter().position(|digit| *digit != 0);
        let begin = begin.unwrap_or(digits.len());
        let end = digits.iter().rposition(|digit| *digit != 0);
        let end = end.map_or(begin, |last| last + 1);
        let weight = match units {
            0 => 0,
            _ => i16::try_from(WHOLE_DIGITS)? - 1 - i16::try_from(begin)?,
        };

        buffer.extend(&i16::try_from(end - begin)?.to_be_bytes());
        buffer.extend(&weight.to_be_bytes());
        buffer.extend(&(if units < 0 { NEGATIVE } else { 0 }).to_be_bytes());
        buffer.extend(&i16::try_from(MONEY_PLACES)?.to_be_bytes());
        for digit in &digits[begin..end] {
            buffer.extend(&digit.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    fn size_hint(&self) -> usize {
        HEADER_BYTES + 2 * (WHOLE_DIGITS + FRACTION_DIGITS)
    }
}

/// Writes a number as digits to the base of 10,000, the last one first.
fn split(mut value: u128, digits: &mut [u16]) -> Result<(), BoxDynError> {
    for digit in digits.iter_mut().rev() {
        *digit = u16::try_from(value % BASE)?;
        value /= BASE;
    }
    Ok(())
}

impl<'r> Decode<'r, Postgres> for MoneyColumn {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let units = units(value.as_bytes()?).ok_or_else(|| {
            format!(
                "an amount has more than {MONEY_INTEGER_DIGITS} integer digits or {MONEY_PLACES} decimal places"
            )
        })?;

        Ok(Self(units))
    }
}

/// Returns the amount of a binary `numeric`; `None` when the books cannot hold it.
fn units(bytes: &[u8]) -> Option<Money> {
    let mut numbers = bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let count = u16::from_be_bytes(numbers.next()?);
    let weight = i16::from_be_bytes(numbers.next()?);
    let sign = u16::from_be_bytes(numbers.next()?);
    let _places = numbers.next()?;
    if NOT_FINITE.contains(&sign) || numbers.len() != usize::from(count) {
        return None;
    }

    let mut whole = 0_u128;
    let mut fraction = 0_u128;
    for (at, digit) in numbers.enumerate() {
        let digit = u128::from(u16::from_be_bytes(digit));
        let position = i32::from(weight) - i32::try_from(at).ok()?;
        match position {
            0.. => {
                let value = BASE.checked_pow(position.unsigned_abs())?;
                whole = whole.checked_add(digit.checked_mul(value)?)?;
            }
            FRACTION_LAST..0 => {
                fraction += digit * BASE.pow((position - FRACTION_LAST).unsigned_abs())
            }
            _ if digit == 0 => {}
            _ => return None,
        }
    }
    if !fraction.is_multiple_of(FRACTION_FILL) {
        return None;
    }

    let units = whole.checked_mul(UNITS_PER_ONE)?;
    let units = i128::try_from(units.checked_add(fraction / FRACTION_FILL)?).ok()?;
    Money::from_units(if sign == NEGATIVE { -units } else { units })
}

/// A column of prices, `numeric`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceColumn(pub Price);

impl Type<Postgres> for PriceColumn {
    fn type_info() -> PgTypeInfo {
        <BigDecimal as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for PriceColumn {
    fn array_type_info() -> PgTypeInfo {
        <BigDecimal as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for PriceColumn {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        BigDecimal::from(self.0.clone()).encode_by_ref(buffer)
    }
}

impl<'r> Decode<'r, Postgres> for PriceColumn {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let value = <BigDecimal as Decode<Postgres>>::decode(value)?;

        Ok(Self(value.into()))
    }
}

/// Lets entities have columns of this type.
macro_rules! entity_column {
    ($type:ty, $column_type:expr, $from:expr, $into:expr) => {
        impl From<$type> for Value {
            fn from(column: $type) -> Self {
                Self::BigDecimal(Some(Box::new($into(column.0))))
            }
        }

        impl TryGetable for $type {
            fn try_get_by<I: ColIdx>(result: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let Some(row) = result.try_as_pg_row() else {
                    let error = "only rows of PostgreSQL are supported".to_owned();
                    return Err(TryGetError::DbErr(DbErr::Type(error)));
                };

                let found = row.try_get::<Option<Self>, _>(index.as_sqlx_postgres_index());
                let found = found.map_err(|error| {
                    TryGetError::DbErr(DbErr::Query(RuntimeErr::SqlxError(error.into())))
                })?;
                found.ok_or_else(|| TryGetError::Null(format!("{index:?}")))
            }
        }

        impl sea_query::ValueType for $type {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                match value {
                    Value::BigDecimal(Some(value)) => $from(*value).map(Self).ok_or(ValueTypeErr),
                    _ => Err(ValueTypeErr),
                }
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::BigDecimal
            }

            fn column_type() -> ColumnType {
                ColumnType::Decimal($column_type)
            }
        }

        impl Nullable for $type {
            fn null() -> Value {
                Value::BigDecimal(None)
            }
        }
    };
}

entity_column!(
    MoneyColumn,
    Some((MONEY_PLACES + MONEY_INTEGER_DIGITS, MONEY_PLACES)),
    |value: BigDecimal| Number::from(value).to_money(),
    |money: Money| BigDecimal::from(Number::from(money))
);
entity_column!(
    PriceColumn,
    None,
    |value: BigDecimal| Some(Price::from(value)),
    BigDecimal::from
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(money: Money) -> Vec<u8> {
        let mut buffer = PgArgumentBuffer::default();
        let is_null = MoneyColumn(money).encode_by_ref(&mut buffer);

        assert!(matches!(is_null, Ok(IsNull::No)));
        buffer.to_vec()
    }

    /// Returns the binary form of the driver's own decimal.
    fn encoded_by_driver(money: Money) -> Vec<u8> {
        let mut buffer = PgArgumentBuffer::default();
        let decimal = BigDecimal::from(Number::from(money));
        let is_null = decimal.encode_by_ref(&mut buffer);

        assert!(matches!(is_null, Ok(IsNull::No)));
        buffer.to_vec()
    }

    /// Removes the number of decimal places to print, which differs.
    fn without_places(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.drain(6..8);
        bytes
    }

    proptest! {
        #[test]
        fn money_has_the_binary_form_of_the_driver(
            digits in 1..=38_u32, share in 0..1_000_000_000_000_000_000_i128, is_negative: bool,
        ) {
            let limit = 10_i128.pow(digits);
            let count = (limit / 1_000_000_000_000_000_000 * share + share % limit).min(limit - 1);
            let money = Money::from_units(if is_negative { -count } else { count });
            let money = money.expect("in range");

            prop_assert_eq!(units(&encoded(money)), Some(money));
            prop_assert_eq!(units(&encoded_by_driver(money)), Some(money));
            prop_assert_eq!(without_places(encoded(money)), without_places(encoded_by_driver(money)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _units = units(&bytes);
        }
    }
}
