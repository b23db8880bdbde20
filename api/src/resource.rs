//! The operations, one file per resource, and the objects they answer with.

mod bots;
mod events;
mod exchange_bindings;
mod live;
mod range;
mod refusals;
mod root;
mod sign_in;
mod sub_accounts;
mod trading_logs;
mod tradings;
mod transactions;
mod users;

pub(crate) use bots::Bots;
pub(crate) use events::{DeadLetters, EventStatus, Replays};
pub(crate) use exchange_bindings::ExchangeBindings;
pub(crate) use live::Live;
pub(crate) use root::Root;
pub(crate) use sign_in::SignIn;
pub(crate) use sub_accounts::{PastBalances, SubAccounts};
pub(crate) use trading_logs::TradingLogs;
pub(crate) use tradings::{Performances, Tradings};
pub(crate) use transactions::Transactions;
pub(crate) use users::{UserAdmin, Users};

use users::User;

use poem_openapi::types::ParseFromParameter;
use poem_openapi::{Object, Tags};
use serde::Serialize;
use tiris_store::error::{Error, Result};
use uuid::{Uuid, uuid};

/// Longest name of a trading or a sub-account, in characters.
const NAME_LENGTH_MAX: usize = 128;
/// Longest message of a trading log, in bytes, as in events.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// An id in examples.
const EXAMPLE_ID: Uuid = uuid!("01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e");
/// Another one, where two must differ.
const EXAMPLE_OTHER_ID: Uuid = uuid!("01928f2e-7c3a-7b70-8a21-64c0d1e2f3a4");

/// Said in words.
#[derive(Object, Serialize)]
struct Message {
    message: String,
}

impl Message {
    fn new(message: &str) -> Self {
        Self {
            message: message.to_owned(),
        }
    }
}

/// Groups of operations.
#[derive(Tags)]
enum Tag {
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

/// The choice a text column holds.
fn stored<T: ParseFromParameter>(text: &str) -> Result<T> {
    T::parse_from_parameter(text)
        .map_err(|error| Error::internal(format!("a column holds {text:?}: {}", error.message())))
}
