//! Performance and equity curve in responses.

use crate::routes::prelude::*;
use crate::routes::range::Interval;
use tiris_domain::performance::{self, Exact};

/// The largest drawdown of the unit value.
#[derive(Object, Serialize)]
struct Drawdown {
    /// Loss from the peak as a fraction, 0 to 1
    depth: f64,
    /// When the peak was first reached
    peak: DateTime<Utc>,
    /// When the lowest value was first reached
    trough: DateTime<Utc>,
    /// When the peak was reached again; null if it was not
    #[oai(nullable)]
    recovery: Option<DateTime<Utc>>,
}

/// The performance of a trading in a period, by event time. Money is in units of `quote`; ratios are null where they are
/// not defined.
#[derive(Object, Serialize)]
pub(super) struct Performance {
    /// Id of the trading
    trading_id: Uuid,
    /// Symbol of the asset all figures are in; null if none is given and no transaction has a price
    #[oai(nullable)]
    quote: Option<String>,
    /// Start of the measured period: the first moment at which the trading held something of value
    #[oai(nullable)]
    from: Option<DateTime<Utc>>,
    /// End of the measured period: `to`, by default the last transaction
    #[oai(nullable)]
    to: Option<DateTime<Utc>>,
    /// Value of all assets at the start of the period
    opening_value: Field<Figure>,
    /// Value of all assets at the end of the period
    closing_value: Field<Figure>,
    /// Deposits less withdrawals, and all other movements that are neither trades nor fees
    net_flows: Field<Figure>,
    /// `closing_value - opening_value - net_flows`
    profit: Field<Figure>,
    /// Return of the period net of flows, as a fraction: 0.1 is 10 %
    #[oai(nullable)]
    time_weighted_return: Option<f64>,
    /// The return per year of 365.25 days; null for periods under 7 days
    #[oai(nullable)]
    cagr: Option<f64>,
    /// Standard deviation of daily returns per year of 365 days; null for a single day
    #[oai(nullable)]
    volatility: Option<f64>,
    /// Sharpe ratio per year, with a risk-free rate of 0
    #[oai(nullable)]
    sharpe_ratio: Option<f64>,
    /// Sortino ratio per year, with a target return of 0
    #[oai(nullable)]
    sortino_ratio: Option<f64>,
    /// The largest drawdown; null if the value never fell
    #[oai(nullable)]
    max_drawdown: Option<Drawdown>,
    /// Number of trades; what one order exchanged at one moment counts once
    trades: u64,
    /// Number of sales whose gain is known
    closing_trades: u64,
    /// Fraction of the closing trades with a gain, 0 to 1; null without closing trades
    #[oai(nullable)]
    win_rate: Option<f64>,
    /// `gross_profit / gross_loss`; null without losses
    #[oai(nullable)]
    profit_factor: Option<f64>,
    /// Sum of the gains of closing trades
    gross_profit: Field<Figure>,
    /// Sum of the losses of closing trades, as a positive number
    gross_loss: Field<Figure>,
    /// Value of all fees less rebates; negative if the rebates are larger
    fees: Field<Figure>,
    /// Value of all trades, without fees
    turnover: Field<Figure>,
    /// Symbols of assets without any price, which all figures leave out
    unpriced: Vec<String>,
    /// Symbols of assets of which more was spent than had come in by event time; if there are any, all returns are null
    overdrawn: Vec<String>,
}

/// The state of a trading at the end of an hour or a day.
#[derive(Object, Serialize)]
struct Point {
    /// Start of the interval, UTC
    time: DateTime<Utc>,
    /// Value of all assets at the end of the interval, in units of `quote`
    value: Field<Figure>,
    /// Movements during the interval that are neither trades nor fees, in units of `quote`
    net_flows: Field<Figure>,
    /// Value of one unit that was worth 1 at the start: the curve of the time-weighted return
    unit_value: f64,
}

/// The equity curve of a trading, by event time.
#[derive(Object, Serialize)]
pub(super) struct Equity {
    /// Id of the trading
    trading_id: Uuid,
    /// Symbol of the asset values are in; null if none is given and no transaction has a price
    #[oai(nullable)]
    quote: Option<String>,
    /// Length of an interval
    interval: Interval,
    /// Intervals with transactions, oldest first
    points: Vec<Point>,
    /// Symbols of assets without any price, which all values leave out
    unpriced: Vec<String>,
    /// Symbols of assets of which more was spent than had come in by event time; if there are any, the curve is not reliable
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
