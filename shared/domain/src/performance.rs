//! The performance of a trading: a pure fold over its postings in the order of their event times.
//!
//! Memory does not grow with the number of postings. Money is exact; ratios are exact decimals, with [`exact::DIGITS`]
//! digits where a division does not end, and become floats last. Must not know: SQL, HTTP, the clock.
//!
//! Postings form activities: trades, fees and flows ([`settle`]). Trades set prices ([`prices`]), prices and holdings
//! give the value of the portfolio ([`portfolio`]), its values between flows the returns ([`returns`]), and sales
//! against average cost the gains and losses ([`trades`]).

mod curve;
mod days;
mod drawdown;
mod exact;
mod fold;
mod portfolio;
mod prices;
mod report;
mod returns;
mod settle;
mod trades;

pub use curve::{Interval, POINTS_MAX, Point};
pub use drawdown::Drawdown;
pub use exact::Exact;
pub use fold::{Fold, Period, TooManyPoints};
pub use report::Performance;
pub use settle::Posting;
pub use trades::TradeFigures;

#[cfg(test)]
mod tests;
