//! The id of an event of a live stream, which is also the position where a client resumes.

use crate::http::filter::is_storable;
use chrono::{DateTime, Utc};
use std::fmt::{Display, Formatter};
use std::str::FromStr;
use uuid::Uuid;

/// The kind of an event; events of the same microsecond are sent in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[repr(i16)]
pub(crate) enum Kind {
    /// The start of a stream, without a row.
    Start = 0,
    Transaction = 1,
    TradingLog = 2,
    SubAccount = 3,
    Order = 4,
    /// A dead letter that was opened, replayed or discarded.
    DeadLetter = 5,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Start,
        Self::Transaction,
        Self::TradingLog,
        Self::SubAccount,
        Self::Order,
        Self::DeadLetter,
    ];

    /// Returns the event type.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Transaction => "transaction",
            Self::TradingLog => "trading_log",
            Self::SubAccount => "sub_account",
            Self::Order => "order",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// `<microseconds>-<kind>-<row id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
pub(crate) struct EventId {
    /// `timestamp` of the row, `updated_at` of a sub-account or order, `created_at` or `closed_at` of a dead letter.
    pub(crate) at: DateTime<Utc>,
    pub(crate) kind: Kind,
    /// Id of the row.
    #[sqlx(rename = "id")]
    pub(crate) row: Uuid,
}

impl EventId {
    /// Returns the position before every event of this time.
    pub(super) const fn start(at: DateTime<Utc>) -> Self {
        Self {
            at,
            kind: Kind::Start,
            row: Uuid::nil(),
        }
    }

    /// Returns the row such that later events of `kind` have a later time, or the same time and a greater row.
    pub(super) fn passed(self, kind: Kind) -> Uuid {
        match kind.cmp(&self.kind) {
            std::cmp::Ordering::Less => Uuid::max(),
            std::cmp::Ordering::Equal => self.row,
            std::cmp::Ordering::Greater => Uuid::nil(),
        }
    }
}

impl Display for EventId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}-{}-{}",
            self.at.timestamp_micros(),
            self.kind.name(),
            self.row
        )
    }
}

impl FromStr for EventId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (micros, rest) = text.split_once('-')?;
            let (kind, row) = rest.split_once('-')?;
            let micros =
                Some(micros).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            let at = DateTime::from_timestamp_micros(micros.parse().ok()?)
                .filter(|at| is_storable(*at))?;
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
            Some(Self {
                at,
                kind,
                row: Uuid::try_parse(row).ok()?,
            })
        };
        parse().ok_or("must be the id of an event of this stream: <microseconds>-<kind>-<row id>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> impl Strategy<Value = EventId> {
        // Few times and rows, so that events often share them.
        (0i64..3, 0..Kind::ALL.len(), 0u128..3).prop_map(|(micros, kind, row)| EventId {
            at: DateTime::from_timestamp_micros(micros).expect("in range"),
            kind: Kind::ALL[kind],
            row: Uuid::from_u128(row + 1),
        })
    }

    proptest! {
        #[test]
        fn id_round_trips(micros in 0i64..253_000_000_000_000_000, kind in 0..Kind::ALL.len(), row: u128) {
            let at = DateTime::from_timestamp_micros(micros).expect("in range");
            let id = EventId { at, kind: Kind::ALL[kind], row: Uuid::from_u128(row) };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn parser_never_panics(text in "[0-9+-]{0,20}-?(transaction|start)?-?.{0,40}") {
            let _parsed: Result<EventId, _> = text.parse();
        }

        #[test]
        fn passed_rows_come_before_the_end_of_the_page(last in id(), other in id()) {
            let comes_after = (other.at, other.row) > (last.at, last.passed(other.kind));
            prop_assert_eq!(comes_after, other > last);
        }

        #[test]
        fn every_row_comes_after_the_start_of_its_time(other in id()) {
            prop_assume!(other.kind != Kind::Start);
            prop_assert!(other > EventId::start(other.at));
        }
    }

    #[test]
    fn rejects_malformed_ids() {
        let row = "01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e";

        assert!(format!("1-transaction-{row}").parse::<EventId>().is_ok());
        for wrong in [
            String::new(),
            "1".to_owned(),
            "1-transaction".to_owned(),
            "1-transaction-".to_owned(),
            format!("-1-transaction-{row}"),
            format!("+1-transaction-{row}"),
            format!("1-orders-{row}"),
            format!("-transaction-{row}"),
            format!("99999999999999999999-transaction-{row}"),
            format!("9223372036854775807-transaction-{row}"),
            format!("1-transaction-{row}0"),
        ] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }
}
