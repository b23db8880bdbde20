//! The operations: one folder a resource, one file a verb with its policy, its types and its whole use case.

mod exchange_bindings;
mod prelude;
mod service;
mod sign_in;
mod sub_accounts;
mod users;

use poem_openapi::{Object, Tags};
use serde::Serialize;
use uuid::{Uuid, uuid};

/// Declares the operations of a resource, in the order of the document.
macro_rules! operations {
    ($($operation:ident),+ $(,)?) => {
        /// The operations of this resource.
        pub(super) type Operations = ($($operation,)+);

        /// All operations of this resource.
        pub(super) const OPERATIONS: Operations = ($($operation,)+);
    };
}
use operations;

/// All operations.
pub(crate) type Operations = (
    service::Operations,
    sign_in::Operations,
    users::Operations,
    exchange_bindings::Operations,
    sub_accounts::Operations,
);

/// All operations, in the order of the document.
pub(crate) const OPERATIONS: Operations = (
    service::OPERATIONS,
    sign_in::OPERATIONS,
    users::OPERATIONS,
    exchange_bindings::OPERATIONS,
    sub_accounts::OPERATIONS,
);

/// An id in examples.
pub(crate) const EXAMPLE_ID: Uuid = uuid!("01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e");
/// Another one, where two must differ.
const EXAMPLE_OTHER_ID: Uuid = uuid!("01928f2e-7c3a-7b70-8a21-64c0d1e2f3a4");

/// A sentence for a person.
#[derive(Object, Serialize)]
pub(crate) struct Message {
    message: String,
}

impl Message {
    pub(crate) fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
        }
    }
}

/// Groups of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Version, links and health
    Service,
    /// Signing in and out
    #[oai(rename = "Sign-in")]
    SignIn,
    /// Who is signed in; for admins all users
    Users,
    /// Accounts at exchanges, private or public
    #[oai(rename = "Exchange bindings")]
    ExchangeBindings,
    /// What a bot works on: a set of sub-accounts
    Tradings,
    /// One asset of a trading, with its balance
    #[oai(rename = "Sub-accounts")]
    SubAccounts,
    /// Every change of every balance, append-only
    Transactions,
    /// What happened on a trading; some types move money
    #[oai(rename = "Trading logs")]
    TradingLogs,
    /// What happens now
    Live,
    /// What bots publish: how it comes in, what could not be applied, what is read again
    Events,
}
