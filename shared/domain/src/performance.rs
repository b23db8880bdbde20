//! Performance of a trading, from its postings alone: a pure fold over them in the order of their event times.
//!
//! Owns: what a return, a flow, a trade and a drawdown are. Must not know: SQL, HTTP, where postings come from, the clock.
//! Memory does not grow with the number of postings. Money is exact; ratios are computed from exact decimals, with
//! [`exact::DIGITS`] digits where a division does not end, and become floats last.
//!
//! A posting becomes a happening: a trade, a fee or a flow ([`settle`]). A trade gives a price ([`prices`]), prices and
//! holdings give the value of what is held ([`portfolio`]), its values between flows make the returns ([`returns`]), and
//! sales against average cost make gains and losses ([`trades`]).

mod curve;
mod days;
mod drawdown;
mod exact;
mod fold;
mod portfolio;
mod posting;
mod prices;
mod report;
mod returns;
mod settle;
mod trades;

pub use curve::{Interval, POINTS_MAX, Point};
pub use exact::Exact;
pub use fold::{Fold, TooManyPoints};
pub use posting::{Period, Posting};
pub use report::{Drawdown, Performance};
pub use trades::TradeFigures;

#[cfg(test)]
mod tests;
