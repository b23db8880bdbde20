//! The operations: one folder a resource, one file a verb with its policy, its types and its whole use case.

mod bots;
mod dead_letters;
mod event_status;
mod exchange_bindings;
mod live;
mod prelude;
mod range;
mod replays;
mod service;
mod sign_in;
mod sub_accounts;
mod trading_logs;
mod tradings;
mod transactions;
mod users;

use poem_openapi::{Object, Tags};
use serde::Serialize;
use uuid::{Uuid, uuid};

/// Declares the operations of a resource, in the order of the document.
macro_rules! operations {
    ($operation:ident) => {
        /// The operation of this resource.
        pub(super) type Operations = $operation;

        /// The operation of this resource.
        pub(super) const OPERATIONS: Operations = $operation;
    };
    ($($operation:ident),+ $(,)?) => {
        /// The operations of this resource.
        pub(super) type Operations = ($($operation),+);

        /// All operations of this resource.
        pub(super) const OPERATIONS: Operations = ($($operation),+);
    };
}
use operations;

/// All operations.
pub(crate) type Operations = (
    service::Operations,
    sign_in::Operations,
    users::Operations,
    exchange_bindings::Operations,
    tradings::Operations,
    sub_accounts::Operations,
    transactions::Operations,
    trading_logs::Operations,
    event_status::Operations,
    dead_letters::Operations,
    replays::Operations,
    bots::Operations,
    live::Operations,
);

/// All operations, in the order of the document.
pub(crate) const OPERATIONS: Operations = (
    service::OPERATIONS,
    sign_in::OPERATIONS,
    users::OPERATIONS,
    exchange_bindings::OPERATIONS,
    tradings::OPERATIONS,
    sub_accounts::OPERATIONS,
    transactions::OPERATIONS,
    trading_logs::OPERATIONS,
    event_status::OPERATIONS,
    dead_letters::OPERATIONS,
    replays::OPERATIONS,
    bots::OPERATIONS,
    live::OPERATIONS,
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

#[cfg(test)]
mod tests {
    use crate::http::document::completed;
    use crate::http::router::service;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// The operations that are charged to another allowance than `general`.
    const CHARGED: [(&str, &str); 13] = [
        ("createExchangeBinding", "credentials"),
        ("createSubAccount", "money"),
        ("createTrading", "money"),
        ("createTradingLog", "money"),
        ("deposit", "money"),
        ("getExchangeBinding", "credentials"),
        ("login", "auth"),
        ("loginCallback", "auth"),
        ("logout", "auth"),
        ("refresh", "auth"),
        ("updateExchangeBinding", "credentials"),
        ("verifyExchangeBinding", "credentials"),
        ("withdraw", "money"),
    ];
    /// The operations without limit.
    const UNLIMITED: [&str; 2] = ["getLive", "getReady"];

    #[test]
    fn every_operation_is_charged_to_its_allowance() {
        let document: Value = serde_json::from_str(&completed(&service().spec())).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths
            .values()
            .flat_map(|path| path.as_object().expect("a path").values());

        let mut others = BTreeMap::new();
        let mut unlimited = Vec::new();
        for operation in operations {
            let id = operation["operationId"].as_str().expect("an id");
            let Some(words) = operation["responses"]["429"]["description"].as_str() else {
                unlimited.push(id);
                continue;
            };
            let class = words
                .split("allowance `")
                .nth(1)
                .and_then(|rest| rest.split('`').next());
            if class != Some("general") {
                others.insert(id, class.expect("a class"));
            }
        }

        assert_eq!(Vec::from_iter(others), CHARGED);
        assert_eq!(unlimited, UNLIMITED);
    }
}
