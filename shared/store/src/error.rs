//! What can go wrong, in words of this domain.
//!
//! Owns: the one error enum of both binaries and how database errors become part of it. Must not know: HTTP,
//! NATS. Each transport maps the enum once, without a wildcard arm.

use std::borrow::Cow;
use tiris_domain::ledger::Rejection;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything a call can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input as a whole cannot be used.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// A required field is absent.
    #[error("missing field: {0}")]
    MissingField(Cow<'static, str>),
    /// A field is there and wrong: which, which limit, what was given.
    #[error("invalid {field}: {why}")]
    InvalidValue {
        /// Name of the field as the caller wrote it.
        field: Cow<'static, str>,
        /// The limit it breaks and what was given.
        why: String,
    },
    /// `info`, `settings` or `metadata` break the rules of [`tiris_domain::json`].
    #[error("invalid free JSON: {0}")]
    InvalidInfo(String),
    /// Nobody is signed in.
    #[error("authentication required")]
    AuthRequired,
    /// The token is malformed, forged, expired or revoked.
    #[error("invalid token: {0}")]
    InvalidToken(&'static str),
    /// The caller is known and may not do this.
    #[error("access denied: {0}")]
    AccessDenied(&'static str),
    /// The caller's account is disabled.
    #[error("account disabled")]
    AccountDisabled,
    /// It does not exist, or is somebody else's: the two are not told apart.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// It contradicts what is stored.
    #[error("conflict: {0}")]
    Conflict(Conflict),
    /// It is no longer what the caller has seen.
    #[error("stale version")]
    StaleVersion,
    /// The ledger refuses it.
    #[error("rejected: {0}")]
    Rejected(Rejection),
    /// Signing in by an identity provider failed: how, and why in words for a developer.
    #[error("sign-in refused: {why}")]
    SignIn {
        /// What kind of refusal it is.
        problem: SignInProblem,
        /// Fit to show: holds neither secrets nor codes.
        why: String,
    },
    /// Another service did not answer in time.
    #[error("{0} did not answer in time")]
    UpstreamTimeout(&'static str),
    /// The database cannot be used now; the same call may work later.
    #[error("database unavailable")]
    DatabaseUnavailable(#[source] Source),
    /// Another part we need cannot be used now.
    #[error("{what} unavailable")]
    Unavailable {
        /// The part, in words for an operator.
        what: &'static str,
        /// Its own error.
        #[source]
        source: Source,
    },
    /// A defect of ours or a state nobody foresaw.
    #[error("internal error")]
    Internal(#[source] Source),
}

/// The cause of an error that came from elsewhere.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can be wrong when somebody signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInProblem {
    /// There is no such provider, or it is not configured.
    #[error("you cannot sign in this way here")]
    UnknownProvider,
    /// The login is unknown, used, expired, or was begun by somebody else.
    #[error("this login has ended or was not begun here; please begin again")]
    State,
    /// The provider does not know the code.
    #[error("this login was used before or took too long; please begin again")]
    Code,
    /// The login may not, or did not, name this address.
    #[error("this page may not be signed in from")]
    RedirectUri,
    /// The provider refuses, or what it answers proves nothing.
    #[error("signing in failed at the provider; please begin again")]
    Provider,
}

impl SignInProblem {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownProvider => "INVALID_PROVIDER",
            Self::State => "STATE_MISMATCH",
            Self::Code => "INVALID_AUTHORIZATION_CODE",
            Self::RedirectUri => "REDIRECT_URI_MISMATCH",
            Self::Provider => "OAUTH_ERROR",
        }
    }
}

/// What a write can collide with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A living trading of the user has the name.
    #[error("you already have a trading with this name")]
    TradingName,
    /// A living sub-account of the trading has the name.
    #[error("this trading already has a sub-account with this name")]
    SubAccountName,
    /// A living binding of the user has the name.
    #[error("you already have an exchange binding with this name")]
    BindingName,
    /// A living binding of the user has the same credentials.
    #[error("you already have an exchange binding with these credentials")]
    ApiKey,
    /// A living user has the e-mail address.
    #[error("another account uses this e-mail address")]
    Email,
    /// A living user has the username.
    #[error("another account uses this username")]
    Username,
    /// A trading uses the binding.
    #[error("a trading uses this exchange binding")]
    BindingInUse,
    /// The sub-account still holds money.
    #[error("the sub-account still holds money")]
    BalanceNotZero,
    /// The trading still holds balances.
    #[error("the trading still holds balances")]
    TradingNotEmpty,
    /// The log moved money and is part of the books.
    #[error("the trading log moved money and stays in the books")]
    LogMovedMoney,
    /// The dead letter was already replayed or discarded.
    #[error("the dead letter is not open")]
    LetterNotOpen,
    /// The idempotency key was used with another body.
    #[error("the idempotency key was used with another request body")]
    IdempotencyKeyReused,
}

impl Conflict {
    /// What breaking a unique index of the schema means.
    fn of_constraint(name: &str) -> Option<Self> {
        Some(match name {
            "tradings_name_unique" => Self::TradingName,
            "sub_accounts_name_unique" => Self::SubAccountName,
            "exchange_bindings_name_unique" => Self::BindingName,
            "exchange_bindings_fingerprint_unique" => Self::ApiKey,
            "users_email_unique" => Self::Email,
            "users_username_unique" => Self::Username,
            _ => return None,
        })
    }

    /// The stable code, equal in every transport.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TradingName => "TRADING_NAME_EXISTS",
            Self::SubAccountName => "SUBACCOUNT_NAME_EXISTS",
            Self::BindingName => "BINDING_NAME_EXISTS",
            Self::ApiKey => "API_KEY_EXISTS",
            Self::Email => "EMAIL_EXISTS",
            Self::Username => "USERNAME_EXISTS",
            Self::BindingInUse => "BINDING_IN_USE",
            Self::BalanceNotZero => "BALANCE_NOT_ZERO",
            Self::TradingNotEmpty => "TRADING_NOT_EMPTY",
            Self::LogMovedMoney => "LOG_MOVED_MONEY",
            Self::LetterNotOpen => "LETTER_NOT_OPEN",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
        }
    }
}

impl Error {
    /// An [`Error::InvalidValue`].
    #[must_use]
    pub fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::InvalidValue {
            field: field.into(),
            why: why.into(),
        }
    }

    /// An [`Error::SignIn`].
    #[must_use]
    pub fn sign_in(problem: SignInProblem, why: impl Into<String>) -> Self {
        Self::SignIn {
            problem,
            why: why.into(),
        }
    }

    /// An [`Error::Internal`] from words.
    #[must_use]
    pub fn internal(why: impl Into<String>) -> Self {
        Self::Internal(why.into().into())
    }

    /// Whether the same call can work later without anything being changed: nobody's fault but the moment's.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::DatabaseUnavailable(_) | Self::Unavailable { .. } | Self::UpstreamTimeout(_)
        )
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

/// SQLSTATE classes and codes that pass by themselves: connection trouble, no resources (disk full among them),
/// operator intervention, I/O errors; serialization, deadlock, lock timeout, a standby that is read-only.
const TRANSIENT_CLASSES: [&str; 4] = ["08", "53", "57", "58"];
const TRANSIENT_CODES: [&str; 5] = ["40001", "40P01", "55P03", "25006", "25P03"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                let passes = TRANSIENT_CODES.contains(&code.as_ref())
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
                Self::DatabaseUnavailable(error.into())
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // A server that dies in the middle of a conversation says things that make no sense.
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
