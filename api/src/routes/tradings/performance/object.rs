//! Performance and its curve as answers show them.

use crate::http::field::Field;
use crate::routes::range::Interval;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::ledger::Asset;
use tiris_domain::performance::{self, Exact};
use tiris_domain::value::Figure;
use uuid::Uuid;

/// The deepest fall of the curve of returns.
#[derive(Object, Serialize)]
struct Drawdown {
    /// Part of the peak that was lost, 0 to 1
    depth: f64,
    /// When the peak was first reached
    peak: DateTime<Utc>,
    /// When the lowest value was first reached
    trough: DateTime<Utc>,
    /// When the peak was reached again; null while it was not
    #[oai(nullable)]
    recovery: Option<DateTime<Utc>>,
}

/// How well a trading did, by event time. Money is in units of `quote`; a ratio is null where it is not defined.
#[derive(Object, Serialize)]
pub(super) struct Performance {
    trading_id: Uuid,
    /// Symbol of the asset all figures are in; null when none was asked for and no transaction has a price
    #[oai(nullable)]
    quote: Option<String>,
    /// The first moment of the period at which there was something of value; null when there was none
    #[oai(nullable)]
    from: Option<DateTime<Utc>>,
    /// The end of the period: `to`, else the last transaction
    #[oai(nullable)]
    to: Option<DateTime<Utc>>,
    /// What there was worth when the period began
    opening_value: Field<Figure>,
    /// What there was worth when it ended
    closing_value: Field<Figure>,
    /// Deposits less withdrawals, and whatever else came or went without a trade
    net_flows: Field<Figure>,
    /// `closing_value - opening_value - net_flows`
    profit: Field<Figure>,
    /// Return of the period net of flows: 0.1 is a tenth more
    #[oai(nullable)]
    time_weighted_return: Option<f64>,
    /// The same for a year of 365.25 days; null for less than 7 days
    #[oai(nullable)]
    cagr: Option<f64>,
    /// Deviation of daily returns for a year of 365 days; null for one day
    #[oai(nullable)]
    volatility: Option<f64>,
    /// Sharpe ratio for a year, without a risk-free rate
    #[oai(nullable)]
    sharpe_ratio: Option<f64>,
    /// Sortino ratio for a year, with a target of 0
    #[oai(nullable)]
    sortino_ratio: Option<f64>,
    /// The deepest fall; null when there was none
    #[oai(nullable)]
    max_drawdown: Option<Drawdown>,
    /// Trades, purchases and sales; every fill counts
    trades: u64,
    /// Sales whose gain is known
    closing_trades: u64,
    /// Part of the closing trades with a gain; null without any
    #[oai(nullable)]
    win_rate: Option<f64>,
    /// Gains over losses of closing trades; null without losses
    #[oai(nullable)]
    profit_factor: Option<f64>,
    /// Sum of the gains of closing trades
    gross_profit: Field<Figure>,
    /// Sum of their losses, above zero
    gross_loss: Field<Figure>,
    /// Worth of all fees
    fees: Field<Figure>,
    /// Worth of all that was traded, without fees
    turnover: Field<Figure>,
    /// Assets that never had a price and are left out
    unpriced: Vec<String>,
    /// Assets of which more was spent than was there by event time; with any of them all returns are null
    overdrawn: Vec<String>,
}

/// The state at the end of an hour or a day.
#[derive(Object, Serialize)]
struct Point {
    /// Its first moment
    time: DateTime<Utc>,
    /// What there was worth at its end
    value: Field<Figure>,
    /// What came during it without a trade, less what went
    net_flows: Field<Figure>,
    /// What one unit is worth that was worth 1 at the beginning: the curve of the time-weighted return
    unit_value: f64,
}

/// The curve of a trading, by event time.
#[derive(Object, Serialize)]
pub(super) struct Equity {
    trading_id: Uuid,
    /// Symbol of the asset values are in; null when none was asked for and no transaction has a price
    #[oai(nullable)]
    quote: Option<String>,
    /// How long a piece is
    interval: Interval,
    /// Pieces in which something happened, oldest first; between them nothing is known to have changed
    points: Vec<Point>,
    /// Assets that never had a price and are left out
    unpriced: Vec<String>,
    /// Assets of which more was spent than was there by event time; with any of them the curve means little
    overdrawn: Vec<String>,
}

fn figure(exact: &Exact) -> Field<Figure> {
    Field(Figure(exact.into()))
}

fn names(assets: &[Asset]) -> Vec<String> {
    assets.iter().map(ToString::to_string).collect()
}

impl Performance {
    pub(super) fn new(
        trading_id: Uuid,
        quote: Option<String>,
        found: performance::Performance,
    ) -> Self {
        let trades = &found.trades;

        Self {
            trading_id,
            quote,
            from: found.start,
            to: found.end,
            opening_value: figure(&found.opening_value),
            closing_value: figure(&found.closing_value),
            net_flows: figure(&found.flows),
            profit: figure(&found.profit),
            time_weighted_return: found.time_weighted_return,
            cagr: found.cagr,
            volatility: found.volatility,
            sharpe_ratio: found.sharpe,
            sortino_ratio: found.sortino,
            max_drawdown: found.max_drawdown.map(|fall| Drawdown {
                depth: fall.depth(),
                peak: fall.peak,
                trough: fall.trough,
                recovery: fall.recovery,
            }),
            trades: trades.trades,
            closing_trades: trades.closing_trades,
            win_rate: trades.win_rate(),
            profit_factor: trades.profit_factor(),
            gross_profit: figure(&trades.gains),
            gross_loss: figure(&trades.losses),
            fees: figure(&trades.fees),
            turnover: figure(&trades.turnover),
            unpriced: names(&found.unpriced),
            overdrawn: names(&found.overdrawn),
        }
    }
}

impl Equity {
    pub(super) fn new(
        trading_id: Uuid,
        quote: Option<String>,
        interval: Interval,
        points: Vec<performance::Point>,
        found: &performance::Performance,
    ) -> Self {
        let point = |point: performance::Point| Point {
            time: point.time,
            value: figure(&point.value),
            net_flows: figure(&point.flows),
            unit_value: point.unit_value(),
        };

        Self {
            trading_id,
            quote,
            interval,
            points: points.into_iter().map(point).collect(),
            unpriced: names(&found.unpriced),
            overdrawn: names(&found.overdrawn),
        }
    }
}
