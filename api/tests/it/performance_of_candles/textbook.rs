//! The textbook definitions as plain loops.

use chrono::{DateTime, NaiveDate, Utc};
use tiris_domain::money::Number;

/// A transaction.
pub(super) struct Row {
    pub(super) time: DateTime<Utc>,
    pub(super) symbol: &'static str,
    pub(super) is_credit: bool,
    pub(super) amount: Number,
    pub(super) price: Option<Number>,
    pub(super) fee: Number,
    pub(super) log: String,
}

pub(super) fn zero() -> Number {
    "0".parse().expect("a number")
}

fn float(number: &Number) -> f64 {
    number.to_string().parse().expect("a float")
}

/// Exact sums of the books.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) btc: Number,
    pub(super) eth: Number,
    pub(super) price: Option<Number>,
    pub(super) flows: Number,
    pub(super) fees: Number,
    pub(super) turnover: Number,
    pub(super) trades: u64,
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
                flows: zero(),
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

        for legs in rows.chunk_by(|one, other| one.log == other.log) {
            match &legs[0].price {
                Some(price) => textbook.trade(legs, price),
                None => textbook.deposit(&legs[0]),
            }
            textbook.mark(legs[0].time);
        }

        textbook
    }

    fn value(&self) -> f64 {
        let price = self.books.price.as_ref();
        let eth = price.map_or_else(zero, |price| self.books.eth.times(price));
        float(&self.books.btc.plus(&eth))
    }

    fn flow(&mut self, amount: &Number) {
        let before = self.value();
        if self.base > 0.0 {
            self.growth *= before / self.base;
        }
        self.base = before + float(amount);
        self.books.flows = self.books.flows.plus(amount);
    }

    fn deposit(&mut self, row: &Row) {
        if row.symbol == "ETH" {
            self.books.eth = self.books.eth.plus(&row.amount);
        } else {
            self.flow(&row.amount);
            self.books.btc = self.books.btc.plus(&row.amount);
        }
    }

    fn trade(&mut self, legs: &[Row], price: &Number) {
        self.books.trades += 1;
        if self.books.price.is_none() {
            let entering = self.books.eth.times(price);
            self.flow(&entering);
            self.held = float(&self.books.eth);
            self.cost = float(&entering);
        }
        self.books.price = Some(price.clone());

        let mut all = legs.iter();
        let stock = all.clone().find(|leg| leg.symbol == "ETH");
        let currency = all.find(|leg| leg.symbol == "BTC");
        let stock = stock.expect("both legs");
        let currency = currency.expect("both legs");
        self.books.fees = self.books.fees.plus(&currency.fee);
        if stock.is_credit {
            self.buy(stock, currency);
        } else {
            self.sell(stock, currency);
        }
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
