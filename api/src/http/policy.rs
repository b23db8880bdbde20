//! The policy of an operation: who may call it, which allowance a call is charged to, and how it can be refused.
//!
//! Each operation is a type that implements [`Policy`] beside its handler. The OpenAPI document, the rate limiter and the
//! check of the caller read the policy from there, by the extractor (`Caller<Operation>` or `Anyone<Operation>`) and by
//! the return type (`Answer<_, Operation>`); an operation without one does not compile.

use super::rate::Class;

/// A status with what it means for an operation.
pub(crate) type Refusal = (u16, &'static str);

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, without a token.
    Public,
    /// Users who are signed in.
    User,
    /// Users whose role is `admin`.
    Admin,
}

/// What is decided about an operation before its handler runs.
pub(crate) trait Policy: Send + Sync + 'static {
    /// Who may call it.
    const ACCESS: Access;

    /// The allowance a call is charged to; `None` is without limit.
    const RATE: Option<Class>;

    /// How it can be refused, beyond what follows from the rest of the policy. A status given here replaces the common
    /// words for that status.
    const REFUSALS: &'static [Refusal];

    /// All refusals to document, by status.
    fn refusals() -> Vec<Refusal> {
        let mut all: Vec<Refusal> = Self::REFUSALS.to_vec();
        let by_access: &[Refusal] = match Self::ACCESS {
            Access::Public => &[],
            Access::User => &[UNAUTHORIZED, FORBIDDEN, UNAVAILABLE],
            Access::Admin => &[UNAUTHORIZED, FOR_ADMINS, UNAVAILABLE],
        };
        let by_rate = Self::RATE.map(limited);

        for common in by_access.iter().copied().chain(by_rate).chain([INTERNAL]) {
            if all.iter().all(|(status, _)| *status != common.0) {
                all.push(common);
            }
        }
        all.sort_by_key(|(status, _)| *status);
        all
    }
}

pub(crate) const INVALID: Refusal = (
    400,
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit, which `details` names",
);
pub(crate) const INVALID_FILTER: Refusal = (
    400,
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit, which `details` names; `INVALID_INFO_STRUCTURE`: \
     the parameter `info` breaks the rules for free JSON; `INVALID_REQUEST`: parameters exclude each other",
);
pub(crate) const INVALID_BODY: Refusal = (
    400,
    "`INVALID_REQUEST`: no JSON object, or an unknown field where money moves; `MISSING_FIELD`, `INVALID_VALUE`: \
     `details` names the field and its limit; `INVALID_INFO_STRUCTURE`: duplicate keys, U+0000, numbers of more than 40 \
     digits or with an exponent beyond 64, nesting beyond 32, keys beginning with `$serde_json`, or more than 16 KiB",
);
pub(crate) const NOT_FOUND: Refusal =
    (404, "`NOT_FOUND`: it does not exist, or is somebody else's");
pub(crate) const STALE: Refusal = (
    412,
    "`STALE_VERSION`: it is no longer what `If-Match` names",
);
pub(crate) const TOO_LARGE: Refusal = (413, "`BODY_TOO_LARGE`: more than 256 KiB");
pub(crate) const NO_JSON: Refusal = (
    415,
    "`UNSUPPORTED_MEDIA_TYPE`: the body is not sent as application/json",
);
pub(crate) const REJECTED: Refusal = (
    422,
    "The ledger refuses: `OWNERSHIP_MISMATCH`, `SYMBOL_MISMATCH`, `SAME_ACCOUNT`, `INVALID_AMOUNT`, \
     `TOO_MANY_DECIMALS`, `INSUFFICIENT_BALANCE`, `AMOUNT_OUT_OF_RANGE`",
);
pub(crate) const UNAVAILABLE: Refusal = (
    503,
    "`DATABASE_UNAVAILABLE`, `SERVICE_UNAVAILABLE`: try again, after `Retry-After` seconds",
);

const UNAUTHORIZED: Refusal = (
    401,
    "`AUTH_REQUIRED`: no token; `INVALID_TOKEN`: malformed, forged, expired or revoked",
);
pub(crate) const FORBIDDEN: Refusal = (
    403,
    "`ACCOUNT_DISABLED`: the account of the caller is disabled",
);
const FOR_ADMINS: Refusal = (
    403,
    "`ACCESS_DENIED`: the caller is no admin; `ACCOUNT_DISABLED`: the account of the caller is disabled",
);
/// Names the allowance, so that the document says which one an operation is charged to.
macro_rules! limited {
    ($class:literal) => {
        concat!(
            "`RATE_LIMITED`: the allowance `",
            $class,
            "` of the caller is used up; `Retry-After` says for how many seconds"
        )
    };
}

const fn limited(class: Class) -> Refusal {
    let words = match class {
        Class::General => limited!("general"),
        Class::Auth => limited!("auth"),
        Class::Money => limited!("money"),
        Class::Credentials => limited!("credentials"),
    };
    (429, words)
}
const INTERNAL: Refusal = (
    500,
    "`INTERNAL_ERROR`: our mistake; the trace id leads to its cause in our logs",
);
