//! The id of an event of a live stream, which is also where a client resumes.
//!
//! Owns: its text, and the order of events. Must not know: SQL, HTTP.

use crate::http::filter::is_storable;
use chrono::{DateTime, Utc};
use std::fmt::{Display, Formatter};
use std::str::FromStr;
use uuid::Uuid;

/// What an event is about, in the order in which events of the same microsecond are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Where a stream began; it has no row.
    Start,
    /// A row of `transactions`.
    Transaction,
    /// A row of `trading_logs`.
    TradingLog,
    /// A row of `sub_accounts`.
    SubAccount,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Start,
        Self::Transaction,
        Self::TradingLog,
        Self::SubAccount,
    ];

    /// The type of its events.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Transaction => "transaction",
            Self::TradingLog => "trading_log",
            Self::SubAccount => "sub_account",
        }
    }
}

/// `<microseconds>-<kind>-<row id>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventId {
    /// The time the row carries: `timestamp`, of a sub-account `updated_at`.
    pub(crate) at: DateTime<Utc>,
    /// What the row is.
    pub(crate) kind: Kind,
    /// The row.
    pub(crate) row: Uuid,
}

impl EventId {
    /// Before every event of this moment.
    pub(super) const fn start(at: DateTime<Utc>) -> Self {
        Self {
            at,
            kind: Kind::Start,
            row: Uuid::nil(),
        }
    }

    /// Events of `kind` that come after this one have a greater time, or the same and a greater row than this.
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
        // Few moments and rows, so that events often share them.
        (0i64..3, 0usize..4, 0u128..3).prop_map(|(micros, kind, row)| EventId {
            at: DateTime::from_timestamp_micros(micros).expect("in range"),
            kind: Kind::ALL[kind],
            row: Uuid::from_u128(row + 1),
        })
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(micros in 0i64..253_000_000_000_000_000, kind in 0usize..4, row: u128) {
            let at = DateTime::from_timestamp_micros(micros).expect("in range");
            let id = EventId { at, kind: Kind::ALL[kind], row: Uuid::from_u128(row) };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9+-]{0,20}-?(transaction|start)?-?.{0,40}") {
            let _parsed: Result<EventId, _> = text.parse();
        }

        #[test]
        fn what_a_page_passed_is_what_comes_before_its_end_in_order(last in id(), other in id()) {
            let comes_after = (other.at, other.row) > (last.at, last.passed(other.kind));
            prop_assert_eq!(comes_after, other > last);
        }

        #[test]
        fn every_row_comes_after_the_start_of_its_moment(other in id()) {
            prop_assume!(other.kind != Kind::Start);
            prop_assert!(other > EventId::start(other.at));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let row = "01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e";

        assert!(format!("1-transaction-{row}").parse::<EventId>().is_ok());
        for wrong in [
            String::new(),
            "1".to_owned(),
            "1-transaction".to_owned(),
            "1-transaction-".to_owned(),
            format!("-1-transaction-{row}"),
            format!("+1-transaction-{row}"),
            format!("1-order-{row}"),
            format!("-transaction-{row}"),
            format!("99999999999999999999-transaction-{row}"),
            format!("9223372036854775807-transaction-{row}"),
            format!("1-transaction-{row}0"),
        ] {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }
}
