//! The error enum of both binaries, independent of any transport, and the conversion of database errors into it.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use std::borrow::Cow;
use tiris_domain::ledger::{Rejected, Rejection};
use tiris_runtime::database::{reason_of_timeout, renew_sessions};

/// A result with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The failure of a call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request as a whole is invalid.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// A required field is absent.
    #[error("missing field: {0}")]
    MissingField(Cow<'static, str>),
    /// A field has an invalid value.
    #[error("invalid {field}: {why}")]
    InvalidValue {
        /// Name of the field as in the request.
        field: Cow<'static, str>,
        /// The limit and the given value.
        why: String,
    },
    /// `info`, `settings` or `metadata` violate the rules of [`tiris_domain::json`].
    #[error("invalid free JSON: {0}")]
    InvalidInfo(String),
    /// The request has no credentials.
    #[error("authentication required")]
    AuthRequired,
    /// The token is malformed, forged, expired or revoked.
    #[error("invalid token: {0}")]
    InvalidToken(&'static str),
    /// The caller has no permission.
    #[error("access denied: {0}")]
    AccessDenied(&'static str),
    /// The caller's account is disabled.
    #[error("account disabled")]
    AccountDisabled,
    /// The resource does not exist, or belongs to another user, which is not distinguished.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The request conflicts with stored data.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// The user has as many resources of a kind as they may have.
    #[error("quota of {what} exceeded")]
    QuotaExceeded {
        /// Name of the resources.
        what: &'static str,
        /// How many a user may have.
        limit: u32,
        /// How many the user has.
        count: i64,
    },
    /// The user already runs the maximum of an operation.
    #[error("more than {max} {what} of a user at once")]
    TooManyAtOnce {
        /// Names the operations.
        what: &'static str,
        /// How many a user may run.
        max: u32,
    },
    /// The resource has changed since the caller read it.
    #[error("stale version")]
    StaleVersion,
    /// The ledger refuses the command. The message has no amounts of the owner, because errors are logged.
    #[error("rejected: {}", .0.rejection)]
    Rejected(Rejected),
    /// The sign-in at an identity provider failed.
    #[error("sign-in refused: {why}")]
    SignIn {
        /// The kind of failure.
        problem: SignInProblem,
        /// Details for a developer, without secrets and codes.
        why: String,
    },
    /// Another service did not answer in time.
    #[error("{0} did not answer in time")]
    UpstreamTimeout(&'static str),
    /// The database is unavailable; the same call may work later.
    #[error("database unavailable")]
    DatabaseUnavailable(#[source] Source),
    /// Another dependency is unavailable; the same call may work later.
    #[error("{what} unavailable")]
    Unavailable {
        /// Name of the dependency, for operators.
        what: &'static str,
        /// The underlying error.
        #[source]
        source: Source,
    },
    /// A defect of the program.
    #[error("internal error")]
    Internal(#[source] Source),
}

/// The underlying error of another library or part.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

macro_rules! coded {
    ($(
        $(#[$doc:meta])+
        $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $code:literal: $message:literal,)+ }
    )+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $($(#[$variant_doc])+ #[error($message)] $variant,)+
        }

        impl $name {
            /// Returns the stable code, equal in every transport.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }
    )+};
}

coded! {
    /// The kind of a failed sign-in.
    SignInProblem {
        /// The provider is unknown or not configured.
        UnknownProvider = "INVALID_PROVIDER": "this sign-in provider is unknown or not enabled",
        /// The login is unknown, used, expired, or was started in another browser.
        State = "STATE_MISMATCH": "this login has expired or was started elsewhere; start again",
        /// The provider rejects the authorization code.
        Code = "INVALID_AUTHORIZATION_CODE": "this login was used before or took too long; start again",
        /// The redirect URI is not allowed, or differs from that of the login.
        RedirectUri = "REDIRECT_URI_MISMATCH": "sign-in from this page is not allowed",
        /// The provider refuses the sign-in, or its response is invalid.
        Provider = "OAUTH_ERROR": "the sign-in failed at the provider; start again",
    }

    /// A conflict of a write with stored data.
    Conflict {
        /// A living trading of the user has the name.
        TradingName = "TRADING_NAME_EXISTS": "you already have a trading with this name",
        /// A living sub-account of the trading has the name.
        SubAccountName = "SUBACCOUNT_NAME_EXISTS": "this trading already has a sub-account with this name",
        /// A living binding of the user has the name.
        BindingName = "BINDING_NAME_EXISTS": "you already have an exchange binding with this name",
        /// A living binding of the user has the credentials.
        ApiKey = "API_KEY_EXISTS": "you already have an exchange binding with these credentials",
        /// Another user has the e-mail address.
        Email = "EMAIL_EXISTS": "another account uses this e-mail address",
        /// Another user has the username.
        Username = "USERNAME_EXISTS": "another account uses this username",
        /// A trading uses the binding.
        BindingInUse = "BINDING_IN_USE": "a trading uses this exchange binding",
        /// The sub-account still holds money.
        BalanceNotZero = "BALANCE_NOT_ZERO": "the sub-account still holds money",
        /// The trading still holds balances.
        TradingNotEmpty = "TRADING_NOT_EMPTY": "the trading still holds balances",
        /// The log moved money, so that it is part of the books.
        LogMovedMoney = "LOG_MOVED_MONEY": "the trading log moved money, so it cannot be deleted",
        /// The dead letter was replayed or discarded before.
        LetterNotOpen = "LETTER_NOT_OPEN": "the dead letter was replayed or discarded before",
        /// The dead letter names another user than its publisher.
        AcceptUserRequired = "ACCEPT_USER_REQUIRED": "another user published this event; an admin must name the user whose books it may change as accept_user",
        /// An earlier request with the idempotency key had another body.
        IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED": "the idempotency key was used with another request body",
    }
}

impl Conflict {
    /// Returns the conflict that a violation of a unique index means.
    fn of_constraint(name: &str) -> Option<Self> {
        Some(match name {
            "tradings_name_unique" => Self::TradingName,
            "sub_accounts_name_unique" => Self::SubAccountName,
            "exchange_bindings_name_unique" => Self::BindingName,
            "exchange_bindings_fingerprint_unique" => Self::ApiKey,
            "users_email_unique" | "users_email_folded_unique" => Self::Email,
            "users_username_unique" | "users_username_folded_unique" => Self::Username,
            _ => return None,
        })
    }
}

impl Error {
    /// Returns an [`Error::InvalidValue`].
    #[must_use]
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidValue {
            field: field.into(),
            why: why.into(),
        }
    }

    /// Returns an [`Error::SignIn`].
    #[must_use]
    pub fn sign_in(problem: SignInProblem, why: impl Into<String>) -> Self {
        Self::SignIn {
            problem,
            why: why.into(),
        }
    }

    /// Returns an [`Error::Internal`] with a message.
    #[must_use]
    pub fn internal(why: impl Into<String>) -> Self {
        Self::Internal(why.into().into())
    }

    /// Returns whether the transaction lost a race against another one, so that it can succeed at once when it runs again.
    #[must_use]
    pub fn is_race(&self) -> bool {
        let is_lost = matches!(self, Self::DatabaseUnavailable(source) if source.is::<LostRace>());

        is_lost || self.database_error().is_some_and(is_race)
    }

    /// Returns whether the transaction took so long that its timestamp is too old to be committed.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let code = self.database_error().and_then(DatabaseError::code);

        code.is_some_and(|code| code == SERIALIZATION_FAILURE)
    }

    /// Returns whether the database session could not be used any more, so that the work can succeed at once in another
    /// one: nothing of it was committed.
    #[must_use]
    pub fn is_outdated_session(&self) -> bool {
        self.database_error()
            .is_some_and(|error| outdated(error).is_some())
    }

    /// Returns whether the database could not be reached, or not for changes, instead of refusing the work itself.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let is_cut = |error: &dyn DatabaseError| {
            let code = error.code().unwrap_or_default();
            outdated(error).is_some() || UNREACHABLE.contains(&code.as_ref())
        };

        matches!(self, Self::DatabaseUnavailable(_)) && self.database_error().is_none_or(is_cut)
    }

    /// Returns the error of PostgreSQL, if it is a transient one.
    fn database_error(&self) -> Option<&dyn DatabaseError> {
        let Self::DatabaseUnavailable(source) = self else {
            return None;
        };

        source.downcast_ref::<sqlx::Error>()?.as_database_error()
    }

    /// Returns whether the same call may work later.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::DatabaseUnavailable(_) | Self::Unavailable { .. } | Self::UpstreamTimeout(_)
        )
    }
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection.into())
    }
}

/// Another transaction committed between two reads of this one.
#[derive(Debug, thiserror::Error)]
#[error("another transaction was first")]
pub(crate) struct LostRace;

impl From<LostRace> for Error {
    fn from(lost: LostRace) -> Self {
        Self::DatabaseUnavailable(Box::new(lost))
    }
}

/// Unique indexes that only a race of two transactions violates: the same transaction succeeds when it runs again, because
/// it sees the other's row then.
const RACES: [&str; 2] = ["orders_key", "orders_ordinal"];
const DEADLOCK: &str = "40P01";
/// What `assert_fresh` raises.
const SERIALIZATION_FAILURE: &str = "40001";

/// SQLSTATE classes and codes of transient errors: connection failures, insufficient resources such as a full disk, operator
/// intervention, I/O errors; a transaction that took too long, lock timeout, a read-only standby.
const TRANSIENT_CLASSES: [&str; 4] = ["08", "53", "57", "58"];
const TRANSIENT_CODES: [&str; 4] = [SERIALIZATION_FAILURE, "55P03", READ_ONLY, "25P03"];

/// A server that stops, starts, or has no free connection.
const UNREACHABLE: [&str; 4] = ["57P01", "57P02", "57P03", "53300"];
const READ_ONLY: &str = "25006";
/// The function of PostgreSQL that finds that a migration changed the columns of a prepared statement. The SQLSTATE has
/// other meanings, and the message may be translated.
const CHANGED_PLAN: &str = "RevalidateCachedQuery";

/// Returns why no session of the same age can be used any more, if that is the error.
fn outdated(error: &dyn DatabaseError) -> Option<&'static str> {
    let error = error.try_downcast_ref::<PgDatabaseError>()?;

    if error.routine() == Some(CHANGED_PLAN) {
        return Some("a migration changed what a prepared statement returns");
    }
    (error.code() == READ_ONLY).then_some("the database became read-only")
}

fn is_race(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    let of_index = error.constraint().is_some_and(|name| RACES.contains(&name));

    of_index || code == DEADLOCK
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let outdated = outdated(database.as_ref());
                if let Some(why) = outdated {
                    renew_sessions(why);
                }
                let passes = outdated.is_some()
                    || is_race(database.as_ref())
                    || TRANSIENT_CODES.contains(&code.as_ref())
                    || TRANSIENT_CLASSES
                        .iter()
                        .any(|class| code.starts_with(class));

                match database.constraint().and_then(Conflict::of_constraint) {
                    Some(conflict) => Self::Conflict(conflict),
                    None if passes => Self::DatabaseUnavailable(error.into()),
                    None => Self::Internal(error.into()),
                }
            }
            sqlx::Error::PoolTimedOut => {
                metrics::counter!("database_acquire_timeouts_total").increment(1);
                match reason_of_timeout() {
                    Some(reason) => Self::DatabaseUnavailable(reason.into()),
                    None => Self::DatabaseUnavailable(error.into()),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // A server that crashes in the middle of a response breaks the protocol.
            | sqlx::Error::Protocol(_) => Self::DatabaseUnavailable(error.into()),
            _ => Self::Internal(error.into()),
        }
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, RuntimeErr};
        match error {
            DbErr::Conn(RuntimeErr::SqlxError(inner))
            | DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => match std::sync::Arc::try_unwrap(inner)
            {
                Ok(inner) => inner.into(),
                Err(shared) => Self::Internal(shared.to_string().into()),
            },
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::DatabaseUnavailable(error.into()),
            other => Self::Internal(other.into()),
        }
    }
}
