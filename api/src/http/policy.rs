//! The policy of an operation: its access, the allowance that a call is charged to, and its refusals.
//!
//! Each operation is a type that implements [`Policy`] beside its handler. The OpenAPI document, the rate limiter and the
//! check of the caller read it through the extractor (`Caller<Operation>` or `Anyone<Operation>`) and the return type
//! (`Answer<_, Operation>`); an operation without a policy does not compile.

use super::rate::Class;

/// A status and its meaning for an operation.
pub(crate) type Refusal = (u16, &'static str);

/// The callers of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone, without a token.
    Public,
    /// Signed-in users.
    User,
    /// Users whose role is `admin`.
    Admin,
}

/// The rules that are applied before the handler of an operation runs.
pub(crate) trait Policy: Send + Sync + 'static {
    const ACCESS: Access;

    /// The allowance that a call is charged to, `None` for no limit.
    const RATE: Option<Class>;

    /// Refusals beyond those that follow from the rest of the policy. A status listed here replaces the common
    /// description of that status.
    const REFUSALS: &'static [Refusal];

    /// Returns all refusals to document, by status.
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
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit; `details` names it",
);
pub(crate) const INVALID_FILTER: Refusal = (
    400,
    "`INVALID_VALUE`: a parameter is malformed or beyond its limit; `details` names it; `INVALID_INFO_STRUCTURE`: \
     the parameter `info` breaks the rules for free JSON; `INVALID_REQUEST`: parameters exclude each other",
);
pub(crate) const INVALID_BODY: Refusal = (
    400,
    "`INVALID_REQUEST`: not a JSON object, or an unknown field in a request that moves money; `MISSING_FIELD`, `INVALID_VALUE`: \
     `details` names the field and its limit; `INVALID_INFO_STRUCTURE`: duplicate keys, U+0000, numbers of more than 1,000 \
     digits or with an exponent beyond 64, nesting beyond 32, keys beginning with `$serde_json`, or more than 16 KiB",
);
pub(crate) const NOT_FOUND: Refusal = (
    404,
    "`NOT_FOUND`: it does not exist, or belongs to another user",
);
pub(crate) const STALE: Refusal = (
    412,
    "`STALE_VERSION`: `If-Match` does not name the current version",
);
pub(crate) const TOO_LARGE: Refusal = (413, "`BODY_TOO_LARGE`: more than 256 KiB");
pub(crate) const NO_JSON: Refusal = (
    415,
    "`UNSUPPORTED_MEDIA_TYPE`: the body is not sent as application/json",
);
pub(crate) const REJECTED: Refusal = (
    422,
    "The ledger rejects it: `OWNERSHIP_MISMATCH`, `SYMBOL_MISMATCH`, `SAME_ACCOUNT`, `INVALID_AMOUNT`, \
     `INSUFFICIENT_BALANCE`, `AMOUNT_OUT_OF_RANGE`, `ORDER_TOO_LARGE`: the order id is used on 100 other pairs; \
     `details` is an object that names the sub-account and, where a balance is too small, the amounts",
);
pub(crate) const UNAVAILABLE: Refusal = (
    503,
    "`DATABASE_UNAVAILABLE`, `SERVICE_UNAVAILABLE`: retry after `Retry-After` seconds",
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
    "`ACCESS_DENIED`: the caller is not an admin; `ACCOUNT_DISABLED`: the account of the caller is disabled",
);
/// Names the allowance that an operation is charged to.
macro_rules! limited {
    ($class:literal) => {
        concat!(
            "`RATE_LIMITED`: the allowance `",
            $class,
            "` of the caller is used up; retry after `Retry-After` seconds"
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
    "`INTERNAL_ERROR`: a defect of the service; its logs hold the cause under the trace id",
);
