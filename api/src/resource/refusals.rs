//! What operations can refuse, as the OpenAPI document tells it.

use crate::envelope::Refusals;

type Told = (u16, &'static str);

const INVALID: Told = (
    400,
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit, which `details` names",
);
const INVALID_FILTER: Told = (
    400,
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit, which `details` names; `INVALID_INFO_STRUCTURE`: \
     the parameter `info` breaks the rules for free JSON; `INVALID_REQUEST`: parameters exclude each other",
);
const INVALID_BODY: Told = (
    400,
    "`INVALID_REQUEST`: no JSON object, or an unknown field where money moves; `MISSING_FIELD`, `INVALID_VALUE`: \
     `details` names the field and its limit; `INVALID_INFO_STRUCTURE`: duplicate keys, U+0000, numbers of more than 40 \
     digits or with an exponent beyond 64, nesting beyond 32, keys beginning with `$serde_json`, or more than 16 KiB",
);
const UNAUTHORIZED: Told = (
    401,
    "`AUTH_REQUIRED`: no token; `INVALID_TOKEN`: malformed, forged, expired or revoked",
);
const FORBIDDEN: Told = (
    403,
    "`ACCOUNT_DISABLED`: the account of the caller is disabled",
);
const FOR_ADMINS: Told = (
    403,
    "`ACCESS_DENIED`: the caller is no admin; `ACCOUNT_DISABLED`: the account of the caller is disabled",
);
const PUBLIC_FORBIDDEN: Told = (
    403,
    "`ACCESS_DENIED`: a public binding is changed by admins only; `ACCOUNT_DISABLED`: the account of the caller is disabled",
);
const BINDING_EXISTS: Told = (
    409,
    "`BINDING_NAME_EXISTS`: another living binding of the caller has the name; `API_KEY_EXISTS`: another one has the API key",
);
const STALE: Told = (
    412,
    "`STALE_VERSION`: it is no longer what `If-Match` names",
);
const NOT_OPEN: Told = (
    409,
    "`LETTER_NOT_OPEN`: the dead letter was replayed or discarded before",
);
const NOT_FOUND: Told = (404, "`NOT_FOUND`: it does not exist, or is somebody else's");
const TOO_LARGE: Told = (413, "`BODY_TOO_LARGE`: more than 256 KiB");
const NO_JSON: Told = (
    415,
    "`UNSUPPORTED_MEDIA_TYPE`: the body is not sent as application/json",
);
const REJECTED: Told = (
    422,
    "The ledger refuses: `OWNERSHIP_MISMATCH`, `SYMBOL_MISMATCH`, `SAME_ACCOUNT`, `INVALID_AMOUNT`, \
     `TOO_MANY_DECIMALS`, `INSUFFICIENT_BALANCE`, `AMOUNT_OUT_OF_RANGE`",
);
const INTERNAL: Told = (
    500,
    "`INTERNAL_ERROR`: our mistake; the trace id leads to its cause in our logs",
);
const UNAVAILABLE: Told = (
    503,
    "`DATABASE_UNAVAILABLE`, `SERVICE_UNAVAILABLE`: try again, after `Retry-After` seconds",
);

const LIMITED: Told = (
    429,
    "`RATE_LIMITED`: the allowance of the caller is used up; `Retry-After` says for how many seconds",
);

/// Every operation that is limited documents that it is.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: [$($told:expr),+];)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl Refusals for $name {
            const ALL: &'static [Told] = &[$($told),+, LIMITED];
        }
    )+};
}

const NOT_BEGUN: Told = (
    400,
    "`INVALID_PROVIDER`: unknown or not configured; `REDIRECT_URI_MISMATCH`: not one of the configured addresses; \
     `INVALID_REQUEST`, `MISSING_FIELD`, `INVALID_VALUE`: `details` names the field and its limit",
);
const NOT_SIGNED_IN: Told = (
    400,
    "`INVALID_PROVIDER`: unknown or not configured; `STATE_MISMATCH`: the login is unknown, used, expired, of another \
     provider, or its `login_verifier` is missing or wrong; `REDIRECT_URI_MISMATCH`: the login named another address; \
     `INVALID_AUTHORIZATION_CODE`: the provider does not know the code; `OAUTH_ERROR`: the provider refuses, or its \
     answer proves nothing; `INVALID_REQUEST`, `MISSING_FIELD`, `INVALID_VALUE`: `details` names the field and its limit",
);
const LATE: Told = (
    504,
    "`UPSTREAM_TIMEOUT`: the provider did not answer in time",
);

/// Whether the process runs; nothing can be wrong.
pub(super) struct Alive;

impl Refusals for Alive {
    const ALL: &'static [Told] = &[INTERNAL];
}

/// Whether the service is ready.
pub(super) struct Health;

impl Refusals for Health {
    const ALL: &'static [Told] = &[
        INTERNAL,
        (
            503,
            "`SERVICE_UNAVAILABLE`: `details` names the failing check",
        ),
    ];
}

refusals! {
    /// Beginning a login.
    BeginLogin: [NOT_BEGUN, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE];
    /// Ending a login.
    EndLogin: [
        NOT_SIGNED_IN, FORBIDDEN, (409, "`EMAIL_EXISTS`: another account uses the e-mail address, and the provider does \
        not vouch for it or knows that account as somebody else"),
        TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE, LATE
    ];
    /// Anybody may ask; nothing can be wrong.
    Open: [INTERNAL];
    /// A list without parameters that can be wrong.
    Listing: [UNAUTHORIZED, FORBIDDEN, INTERNAL, UNAVAILABLE];
    /// A list with filters.
    Filtered: [INVALID_FILTER, UNAUTHORIZED, FORBIDDEN, INTERNAL, UNAVAILABLE];
    /// A list with filters below something that must exist.
    FilteredBelow: [INVALID_FILTER, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, INTERNAL, UNAVAILABLE];
    /// Following what happens.
    Follow: [
        (400, "`INVALID_VALUE`: Last-Event-ID is not the id of an event of the stream"), UNAUTHORIZED, FORBIDDEN,
        (429, "`RATE_LIMITED`: the caller has 5 streams already; `Retry-After` says when to try again"), INTERNAL,
        UNAVAILABLE
    ];
    /// One thing by its id.
    One: [INVALID, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, INTERNAL, UNAVAILABLE];
    /// Making a trading.
    MakeTrading: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, (404, "`NOT_FOUND`: the exchange binding does not exist, or is somebody else's"),
        (409, "`TRADING_NAME_EXISTS`, `SUBACCOUNT_NAME_EXISTS`; with credentials also `BINDING_NAME_EXISTS`, `API_KEY_EXISTS`"),
        TOO_LARGE, NO_JSON, REJECTED, INTERNAL, UNAVAILABLE
    ];
    /// Changing a trading.
    ChangeTrading: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN,
        (404, "`NOT_FOUND`: the trading or the exchange binding does not exist, or is somebody else's"),
        (409, "`TRADING_NAME_EXISTS`: another living trading of the caller has the name"),
        STALE, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// Deleting a trading.
    DeleteTrading: [
        INVALID, UNAUTHORIZED, FORBIDDEN, NOT_FOUND,
        (409, "`TRADING_NOT_EMPTY`: a real trading that still holds money"), INTERNAL, UNAVAILABLE
    ];
    /// Making a sub-account.
    MakeSubAccount: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, (404, "`NOT_FOUND`: the trading does not exist, or is somebody else's"),
        (409, "`SUBACCOUNT_NAME_EXISTS`"),
        TOO_LARGE, NO_JSON, REJECTED, INTERNAL, UNAVAILABLE
    ];
    /// Changing a sub-account.
    ChangeSubAccount: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, NOT_FOUND,
        (409, "`SUBACCOUNT_NAME_EXISTS`: another living sub-account of the trading has the name"),
        STALE, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// Deleting a sub-account.
    DeleteSubAccount: [
        INVALID, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, (409, "`BALANCE_NOT_ZERO`: it holds money"), INTERNAL, UNAVAILABLE
    ];
    /// Releasing a hold.
    ReleaseHold: [
        INVALID, UNAUTHORIZED, FORBIDDEN,
        (404, "`NOT_FOUND`: the sub-account does not exist, or is somebody else's, or nothing is held for the order"),
        INTERNAL, UNAVAILABLE
    ];
    /// Deleting a trading log, for admins.
    DeleteLog: [
        INVALID, UNAUTHORIZED, FOR_ADMINS, (404, "`NOT_FOUND`: it does not exist"),
        (409, "`LOG_MOVED_MONEY`: it moved money and is part of the books"), INTERNAL, UNAVAILABLE
    ];
    /// Making an exchange binding.
    MakeBinding: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, BINDING_EXISTS, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// Changing an exchange binding.
    ChangeBinding: [
        INVALID_BODY, UNAUTHORIZED, PUBLIC_FORBIDDEN, NOT_FOUND, BINDING_EXISTS, TOO_LARGE, NO_JSON, INTERNAL,
        UNAVAILABLE
    ];
    /// Deleting an exchange binding.
    DeleteBinding: [
        INVALID, UNAUTHORIZED, PUBLIC_FORBIDDEN, NOT_FOUND, (409, "`BINDING_IN_USE`: a living trading uses it"),
        INTERNAL, UNAVAILABLE
    ];
    /// Asking an exchange about credentials.
    VerifyBinding: [
        (400, "`INVALID_VALUE`: the id is no UUID; `INVALID_REQUEST`: the binding has no credentials, or they are those of \
               an exchange that cannot be asked"),
        UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_LARGE, INTERNAL,
        (502, "`EXCHANGE_ERROR`: the exchange cannot be reached, or fails; the binding is kept as `unverified`"),
        UNAVAILABLE,
        (504, "`UPSTREAM_TIMEOUT`: the exchange does not answer in time; the binding is kept as `unverified`")
    ];
    /// A list for admins.
    AdminListing: [UNAUTHORIZED, FOR_ADMINS, INTERNAL, UNAVAILABLE];
    /// One thing by its id, for admins.
    AdminRead: [INVALID, UNAUTHORIZED, FOR_ADMINS, NOT_FOUND, INTERNAL, UNAVAILABLE];
    /// Something an admin does with one dead letter.
    AdminOne: [
        INVALID_BODY, UNAUTHORIZED, FOR_ADMINS, NOT_FOUND, NOT_OPEN, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// Something an admin does with many things.
    AdminMany: [INVALID_BODY, UNAUTHORIZED, FOR_ADMINS, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE];
    /// Renewing an access token.
    Renew: [
        INVALID_BODY, (401, "`INVALID_TOKEN`: unknown, expired or ended"), FORBIDDEN, TOO_LARGE, NO_JSON, INTERNAL,
        UNAVAILABLE
    ];
    /// Changing oneself.
    ChangeSelf: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, (409, "`USERNAME_EXISTS`: another account uses this username"),
        STALE, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// A list with filters, for admins.
    AdminFiltered: [INVALID, UNAUTHORIZED, FOR_ADMINS, INTERNAL, UNAVAILABLE];
    /// Something an admin does with one user.
    AdminUser: [
        INVALID_BODY, UNAUTHORIZED, FOR_ADMINS, NOT_FOUND, STALE, TOO_LARGE, NO_JSON, INTERNAL, UNAVAILABLE
    ];
    /// The same, without a body.
    AdminUserBare: [INVALID, UNAUTHORIZED, FOR_ADMINS, NOT_FOUND, STALE, TOO_LARGE, INTERNAL, UNAVAILABLE];
    /// Moving money.
    MoveMoney: [
        INVALID_BODY, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_LARGE, NO_JSON, REJECTED, INTERNAL, UNAVAILABLE
    ];
}
