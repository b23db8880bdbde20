//! The performance of a trading: a pure fold over its postings in the order of their event times.
//!
//! Memory does not grow with the number of postings, beyond a limit for those of one moment. Money is exact, and so is
//! the value of what a trade exchanged; where another division does not end, [`exact::DIGITS`] digits or more are kept,
//! and ratios become floats last. Must not know: SQL, HTTP, the clock.
//!
//! Postings form activities: trades, fees and flows ([`settle`]). The amounts of trades set prices ([`prices`]), prices
//! and holdings give the value of the portfolio ([`portfolio`]), its values between flows the returns ([`returns`]), and
//! sales against average cost the gains and losses ([`trades`]).

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
