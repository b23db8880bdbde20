//! The fields of every kind of event, as in the contract.

/// The form of a value.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Text of 1 to this many characters.
    Text(usize),
    /// Text of at most this many bytes.
    Words(usize),
    OneOf(&'static [&'static str]),
    Id,
    EventId,
    Time,
    Number,
    /// Number from 0 to 1.
    Share,
    Symbol,
    Pair,
    Object,
}

use Shape::{EventId, Id, Number, Object, OneOf, Pair, Share, Symbol, Text, Time, Words};

/// A field of an event.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

const fn must(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

const fn may(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

/// The fields of every event, except `event_type`.
pub(super) const COMMON: [Field; 7] = [
    must("event_id", EventId),
    must("timestamp", Time),
    must("user_id", Id),
    must("trading_id", Id),
    must("source", Text(128)),
    must("version", Text(128)),
    may("metadata", Object),
];
const ORDER: [Field; 9] = [
    must("sub_account_id", Id),
    must("order_id", Text(128)),
    must("symbol", Pair),
    must("side", OneOf(&["buy", "sell"])),
    must("type", Text(128)),
    must("amount", Number),
    may("price", Number),
    must("status", Text(128)),
    may("message", Words(4096)),
];
/// The fields of a fill, except `fees`; one of `fee` and `fees` is required.
pub(super) const FILL: [Field; 8] = [
    must("stock_account_id", Id),
    must("currency_account_id", Id),
    must("volume", Number),
    must("price", Number),
    may("fee", Number),
    may("fee_account_id", Id),
    may("quote_amount", Number),
    may("reason", Text(50)),
];
/// The fields of an item of `fees`.
pub(super) const LISTED_FEE: [Field; 2] = [must("account_id", Id), must("amount", Number)];
/// Most fees of a fill; a `fee` of zero does not count.
pub(super) const FEES_MAX: usize = 4;
const BALANCE_UPDATED: [Field; 10] = [
    must("sub_account_id", Id),
    must("symbol", Symbol),
    must("amount", Number),
    must("direction", OneOf(&["credit", "debit"])),
    must("reason", Text(50)),
    may("previous_balance", Number),
    may("new_balance", Number),
    may("related_order_id", Text(128)),
    may("order_symbol", Pair),
    may("message", Words(4096)),
];
const BALANCE_LOCKED: [Field; 7] = [
    must("sub_account_id", Id),
    must("symbol", Symbol),
    must("amount", Number),
    may("related_order_id", Text(128)),
    may("order_symbol", Pair),
    may("expires_at", Time),
    may("message", Words(4096)),
];
const BALANCE_UNLOCKED: [Field; 6] = [
    must("sub_account_id", Id),
    must("symbol", Symbol),
    must("amount", Number),
    may("related_order_id", Text(128)),
    may("order_symbol", Pair),
    may("message", Words(4096)),
];
const ERROR: [Field; 6] = [
    may("sub_account_id", Id),
    must("error_code", Text(128)),
    must("error_message", Words(4096)),
    must("severity", OneOf(&["low", "medium", "high", "critical"])),
    must("component", Text(128)),
    may("stack_trace", Words(32_768)),
];
const SIGNAL: [Field; 7] = [
    may("sub_account_id", Id),
    must("signal_type", OneOf(&["buy", "sell", "hold"])),
    must("symbol", Pair),
    must("confidence", Share),
    may("price", Number),
    must("strategy", Text(128)),
    may("reasoning", Words(4096)),
];
const HEARTBEAT: [Field; 3] = [
    must("status", OneOf(&["healthy", "degraded", "unhealthy"])),
    must("component", Text(128)),
    may("metrics", Object),
];

/// Every kind by its subject without a user, with its own fields.
pub(super) const KINDS: [(&str, &[Field]); 10] = [
    ("trading.orders.created", &ORDER),
    ("trading.orders.filled", &ORDER),
    ("trading.orders.cancelled", &ORDER),
    ("trading.orders.failed", &ORDER),
    ("trading.balance.updated", &BALANCE_UPDATED),
    ("trading.balance.locked", &BALANCE_LOCKED),
    ("trading.balance.unlocked", &BALANCE_UNLOCKED),
    ("trading.errors", &ERROR),
    ("trading.signals", &SIGNAL),
    ("trading.heartbeat", &HEARTBEAT),
];
