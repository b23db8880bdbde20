//! The textbook definitions as plain loops.

use super::fraction::{Fraction, float};
use chrono::{DateTime, NaiveDate, Utc};
use tiris_domain::money::Number;

/// A transaction, or the sum of those of one account in a trade.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) time: DateTime<Utc>,
    pub(super) symbol: &'static str,
    pub(super) is_credit: bool,
    pub(super) amount: Number,
    /// Whether the transaction is a leg of a trade.
    pub(super) is_leg: bool,
    pub(super) fee: Number,
    /// The order, otherwise the trading log.
    pub(super) trade: String,
}

impl Row {
    fn plus(mut self, other: &Self) -> Self {
        self.amount = self.amount.plus(&other.amount);
        self.fee = self.fee.plus(&other.fee);
        self
    }

    /// Returns whether two transactions are of one trade: of one order at one moment.
    fn is_of_trade(&self, other: &Self) -> bool {
        self.time == other.time && self.trade == other.trade
    }
}

/// Returns the sum of the legs of one asset; an order has one side.
fn net(legs: &[Row], symbol: &str) -> Row {
    let mut all = legs.iter().filter(|leg| leg.symbol == symbol);
    let first = all.next().expect("both legs").clone();

    all.fold(first, Row::plus)
}

pub(super) fn zero() -> Number {
    "0".parse().expect("a number")
}

/// The amounts of a trade without its fee.
#[derive(Debug)]
pub(super) struct Price {
    eth: Number,
    btc: Number,
}

/// Exact sums of the books.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) btc: Number,
    pub(super) eth: Number,
    pub(super) price: Option<Price>,
    pub(super) flows: Fraction,
    pub(super) fees: Number,
    pub(super) turnover: Number,
    pub(super) trades: u64,
}

impl Books {
    /// Returns the value of the ETH; zero before the first price.
    fn value_of_eth(&self) -> Fraction {
        match &self.price {
            Some(Price { eth, btc }) => Fraction::new(self.eth.times(btc), eth.clone()),
            None => zero().into(),
        }
    }

    pub(super) fn value(&self) -> Fraction {
        self.value_of_eth().plus(&self.btc.clone().into())
    }
}

/// The value of one unit at a moment.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) time: DateTime<Utc>,
    pub(super) unit: f64,
}

/// The curve of one unit after each moment, and the gains of sales.
pub(super) struct Textbook {
    pub(super) books: Books,
    pub(super) curve: Vec<Point>,
    pub(super) gains: Vec<f64>,
    growth: f64,
    base: f64,
    held: f64,
    cost: f64,
}

impl Textbook {
    /// Reads the transactions once. Sub-periods end at flows: the two deposits, of which that of ETH has a value
    /// only from the first trade on.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut textbook = Self {
            books: Books {
                btc: zero(),
                eth: zero(),
                price: None,
                flows: zero().into(),
                fees: zero(),
                turnover: zero(),
                trades: 0,
            },
            curve: Vec::new(),
            gains: Vec::new(),
            growth: 1.0,
            base: 0.0,
            held: 0.0,
            cost: 0.0,
        };

        for legs in rows.chunk_by(Row::is_of_trade) {
            if legs[0].is_leg {
                textbook.trade(legs);
            } else {
                textbook.deposit(&legs[0]);
            }
            textbook.mark(legs[0].time);
        }

        textbook
    }

    fn value(&self) -> f64 {
        self.books.value().float()
    }

    /// Ends a sub-period with a value before a flow.
    fn flow(&mut self, before: f64, amount: &Fraction) {
        if self.base > 0.0 {
            self.growth *= before / self.base;
        }
        self.base = before + amount.float();
        self.books.flows = self.books.flows.plus(amount);
    }

    fn deposit(&mut self, row: &Row) {
        if row.symbol == "ETH" {
            self.books.eth = self.books.eth.plus(&row.amount);
        } else {
            self.flow(self.value(), &row.amount.clone().into());
            self.books.btc = self.books.btc.plus(&row.amount);
        }
    }

    fn trade(&mut self, legs: &[Row]) {
        let stock = net(legs, "ETH");
        let currency = net(legs, "BTC");
        let price = Price {
            eth: stock.amount.clone(),
            btc: match currency.is_credit {
                true => currency.amount.plus(&currency.fee),
                false => currency.amount.minus(&currency.fee),
            },
        };

        self.books.trades += 1;
        if self.books.price.replace(price).is_none() {
            self.enter();
        }

        self.books.fees = self.books.fees.plus(&currency.fee);
        if stock.is_credit {
            self.buy(&stock, &currency);
        } else {
            self.sell(&stock, &currency);
        }
    }

    /// Counts the ETH of the deposit as a flow at its first price.
    fn enter(&mut self) {
        let entering = self.books.value_of_eth();
        self.flow(float(&self.books.btc), &entering);
        self.held = float(&self.books.eth);
        self.cost = entering.float();
    }

    fn buy(&mut self, stock: &Row, currency: &Row) {
        let books = &mut self.books;
        books.eth = books.eth.plus(&stock.amount);
        books.btc = books.btc.minus(&currency.amount);
        books.turnover = books.turnover.plus(&currency.amount.minus(&currency.fee));
        self.held += float(&stock.amount);
        self.cost += float(&currency.amount);
    }

    fn sell(&mut self, stock: &Row, currency: &Row) {
        let books = &mut self.books;
        books.eth = books.eth.minus(&stock.amount);
        books.btc = books.btc.plus(&currency.amount);
        books.turnover = books.turnover.plus(&currency.amount.plus(&currency.fee));
        let average = self.cost / self.held;
        let gain = float(&currency.amount) - average * float(&stock.amount);
        self.gains.push(gain);
        self.held -= float(&stock.amount);
        self.cost = average * self.held;
    }

    /// Sets the point of this moment.
    fn mark(&mut self, time: DateTime<Utc>) {
        let unit = if self.base > 0.0 {
            self.growth * self.value() / self.base
        } else {
            self.growth
        };
        self.curve.pop_if(|last| last.time == time);
        self.curve.push(Point { time, unit });
    }

    /// Computes the returns of all UTC days from the first to the last.
    pub(super) fn daily_returns(&self) -> Vec<f64> {
        let mut day = self.curve[0].time.date_naive();
        let last = self.curve[self.curve.len() - 1].time.date_naive();
        let mut returns = Vec::new();
        let mut before = 1.0;
        while day <= last {
            let after = self.unit_at_end_of(day);
            returns.push(after / before - 1.0);
            before = after;
            day = day.succ_opt().expect("a day");
        }
        returns
    }

    fn unit_at_end_of(&self, day: NaiveDate) -> f64 {
        let mut backwards = self.curve.iter().rev();
        let point = backwards.find(|point| point.time.date_naive() <= day);
        point.map_or(1.0, |point| point.unit)
    }

    /// Computes the largest drawdown, by comparing every point with all before it.
    pub(super) fn deepest_fall(&self) -> Fall {
        let first = self.curve[0];
        let mut peak = Point { unit: 1.0, ..first };
        let mut deepest = Fall {
            depth: 0.0,
            peak: first.time,
            trough: first.time,
            recovery: None,
        };

        for (index, point) in self.curve.iter().enumerate() {
            if point.unit > peak.unit {
                peak = *point;
            }

            let depth = 1.0 - point.unit / peak.unit;

            if depth > deepest.depth {
                let mut later = self.curve[index..].iter();
                let recovery = later.find(|later| later.unit >= peak.unit);
                deepest = Fall {
                    depth,
                    peak: peak.time,
                    trough: point.time,
                    recovery: recovery.map(|point| point.time),
                };
            }
        }

        deepest
    }
}

/// A drawdown from a peak.
pub(super) struct Fall {
    pub(super) depth: f64,
    pub(super) peak: DateTime<Utc>,
    pub(super) trough: DateTime<Utc>,
    pub(super) recovery: Option<DateTime<Utc>>,
}
