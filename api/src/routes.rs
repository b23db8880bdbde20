//! The operations of the API: a folder for each resource, a file for each verb with its policy, types and use case.

mod audit;
mod booked;
mod bots;
mod dead_letters;
mod event_status;
pub(crate) mod exchange_bindings;
mod live;
mod orders;
mod prelude;
mod range;
mod replays;
mod service;
mod sessions;
mod sign_in;
mod sub_accounts;
mod trading_logs;
mod tradings;
mod transactions;
mod users;

use poem_openapi::{Object, OpenApi, Tags};
use serde::Serialize;
use tiris_store::audit::{Action, ActionName};
use uuid::{Uuid, uuid};

/// Declares an operation: its name, who may call it, the allowance it is charged to, and its refusals.
macro_rules! operation {
    ($name:ident: $access:ident, $class:ident, $refusals:expr) => {
        pub(crate) struct $name;

        impl $crate::http::policy::Policy for $name {
            const ACCESS: $crate::http::policy::Access = $crate::http::policy::Access::$access;
            const RATE: Option<$crate::http::rate::Class> = Some($crate::http::rate::Class::$class);
            const REFUSALS: &'static [$crate::http::policy::Refusal] = &$refusals;
        }
    };
}
pub(crate) use operation;

/// Returns all operations, in the order of the document.
pub(crate) fn operations() -> impl OpenApi {
    (
        sign_in::operations(),
        sessions::operations(),
        users::operations(),
        exchange_bindings::operations(),
        tradings::operations(),
        sub_accounts::operations(),
        transactions::operations(),
        trading_logs::operations(),
        orders::operations(),
        event_status::GetEventStatus,
        dead_letters::operations(),
        bots::ListBots,
        audit::ListAudit,
        live::Follow,
        replays::operations(),
        service::operations(),
    )
}

/// A placeholder id for examples: replace it with an id from an earlier response.
pub(crate) const EXAMPLE_ID: Uuid = uuid!("01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e");
/// A second placeholder id, where two ids must differ.
const EXAMPLE_OTHER_ID: Uuid = uuid!("01928f2e-7c3a-7b70-8a21-64c0d1e2f3a4");

/// A confirmation of an operation that returns no resource.
#[derive(Object, Serialize)]
pub(crate) struct Message {
    /// A sentence to show to a user, in English
    message: String,
}

impl Message {
    pub(crate) fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
        }
    }
}

/// Returns an entry of the audit trail about one resource, without its state before and after.
pub(crate) fn action(name: ActionName, resource: &str, id: impl ToString) -> Action<'_> {
    Action {
        name,
        resource,
        id: Some(id.to_string()),
        before: None,
        after: None,
    }
}

/// Groups of operations.
#[derive(Clone, Copy, Tags)]
pub(crate) enum Tag {
    /// Sign in with Google or WeChat, renew access tokens, sign out.
    ///
    /// A login is two calls: `POST /v1/auth/login` returns the provider's page, `POST /v1/auth/callback` returns the
    /// tokens. An access token lasts one hour and is renewed with the refresh token for up to 30 days.
    Authentication,
    /// The current user: read and change the profile, delete the account.
    Users,
    /// Accounts at exchanges. A private binding belongs to one user and holds encrypted API credentials; a public binding
    /// is shared by all users and has none. A real trading needs a binding.
    #[oai(rename = "Exchange bindings")]
    ExchangeBindings,
    /// A trading is the unit one bot works on: a name, a type (`real`, `paper` or `backtest`), optionally an exchange
    /// binding, and a set of sub-accounts. Start here after signing in.
    Tradings,
    /// A sub-account holds one asset of a trading: its balance, and the part of it that open orders lock. Balances change
    /// only by deposits, withdrawals, trades and events of bots.
    #[oai(rename = "Sub-accounts")]
    SubAccounts,
    /// Every change of every balance, append-only: the amount, the direction and the balance after it.
    Transactions,
    /// The journal of a trading. Logs of the types `long`, `short`, `stop_loss`, `deposit` and `withdraw` also move money
    /// in the same call; logs of any other type are notes.
    #[oai(rename = "Trading logs")]
    TradingLogs,
    /// Orders of bots: ordered and filled amounts, average price, fees, status, and what each order still holds.
    Orders,
    /// Returns, risk ratios and the equity curve of a trading, computed from its transactions.
    Performance,
    /// Events that bots publish over NATS: whether they are processed, which of them failed (dead letters) and can be
    /// replayed or discarded, and the latest heartbeat of each bot.
    #[oai(rename = "Events and bots")]
    Events,
    /// The audit trail: each change and each reading of other users' data by an admin, with who did it, from where and what
    /// it made.
    Audit,
    /// Server-sent events with each change of the caller's data as it is committed.
    Live,
    /// Find, disable and enable users. Admins only.
    #[oai(rename = "Administration: users")]
    AdminUsers,
    /// Delete trading logs that moved no money. Admins only.
    #[oai(rename = "Administration: trading logs")]
    AdminTradingLogs,
    /// Process a time range of the event streams again. Admins only.
    #[oai(rename = "Administration: replays")]
    AdminReplays,
    /// Version, links and health checks. No token is needed.
    Service,
}

impl Tag {
    /// The order in which the document and Swagger UI list the groups.
    pub(crate) const ORDER: [Self; 16] = [
        Self::Authentication,
        Self::Users,
        Self::ExchangeBindings,
        Self::Tradings,
        Self::SubAccounts,
        Self::Transactions,
        Self::TradingLogs,
        Self::Orders,
        Self::Performance,
        Self::Events,
        Self::Audit,
        Self::Live,
        Self::AdminUsers,
        Self::AdminTradingLogs,
        Self::AdminReplays,
        Self::Service,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document::completed;
    use crate::http::router::service;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// The operations that are not charged to the allowance `general`.
    const CHARGED: [(&str, &str); 14] = [
        ("createExchangeBinding", "credentials"),
        ("createSubAccount", "money"),
        ("createTrading", "money"),
        ("createTradingLog", "money"),
        ("deposit", "money"),
        ("getExchangeBinding", "credentials"),
        ("login", "auth"),
        ("loginCallback", "auth"),
        ("logout", "auth"),
        ("logoutAll", "auth"),
        ("refresh", "auth"),
        ("updateExchangeBinding", "credentials"),
        ("verifyExchangeBinding", "credentials"),
        ("withdraw", "money"),
    ];
    /// The operations without a rate limit.
    const UNLIMITED: [&str; 2] = ["getLive", "getReady"];

    #[test]
    fn charges_each_operation_to_its_allowance() {
        let document: Value = serde_json::from_str(&completed(&service().spec())).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths
            .values()
            .flat_map(|path| path.as_object().expect("a path").values());

        let mut charged = BTreeMap::new();
        let mut unlimited = Vec::new();
        for operation in operations {
            let id = operation["operationId"].as_str().expect("an id");
            let Some(text) = operation["responses"]["429"]["description"].as_str() else {
                unlimited.push(id);
                continue;
            };
            let class = text
                .split("allowance `")
                .nth(1)
                .and_then(|rest| rest.split('`').next());
            if class != Some("general") {
                charged.insert(id, class.expect("a class"));
            }
        }

        assert_eq!(Vec::from_iter(charged), CHARGED);
        assert_eq!(unlimited, UNLIMITED);
    }

    #[test]
    fn lists_the_tags_in_the_order_of_a_first_session() {
        let document: Value = serde_json::from_str(&completed(&service().spec())).expect("JSON");

        let tags = document["tags"].as_array().expect("tags");
        let names: Vec<&str> = tags
            .iter()
            .map(|tag| tag["name"].as_str().expect("a name"))
            .collect();

        assert_eq!(names, Tag::ORDER.map(|tag| tag.name()));
    }
}
