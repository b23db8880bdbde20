//! The table of error codes, generated from the errors themselves.

use crate::exchange::ExchangeError;
use crate::http::problem::Problem;
use poem::error::ResponseError;
use tiris_domain::ledger::Rejection;
use tiris_store::error::{Conflict, Error, SignInProblem};

/// Formats the error codes as a Markdown table, by status and code.
pub(super) fn table() -> String {
    let mut rows: Vec<String> = problems()
        .map(|problem| {
            let status = problem.status().as_u16();
            format!(
                "| {status} | `{}` | {} |\n",
                problem.code(),
                problem.message()
            )
        })
        .collect();
    rows.sort();
    rows.dedup();

    format!(
        "| Status | Code | Message |\n|---|---|---|\n{}",
        rows.concat()
    )
}

/// Returns one problem of each kind that a response can report.
fn problems() -> impl Iterator<Item = Problem> {
    const FIELD: &str = "named in `details`";
    let conflicts = [
        Conflict::TradingName,
        Conflict::SubAccountName,
        Conflict::BindingName,
        Conflict::ApiKey,
        Conflict::Email,
        Conflict::Username,
        Conflict::BindingInUse,
        Conflict::BalanceNotZero,
        Conflict::TradingNotEmpty,
        Conflict::LogMovedMoney,
        Conflict::LetterNotOpen,
        Conflict::AcceptUserRequired,
        Conflict::IdempotencyKeyReused,
    ];
    let sign_in = [
        SignInProblem::UnknownProvider,
        SignInProblem::State,
        SignInProblem::Code,
        SignInProblem::RedirectUri,
        SignInProblem::Provider,
    ];
    let errors = [
        Error::InvalidRequest(String::new()),
        Error::MissingField(FIELD.into()),
        Error::invalid(FIELD, ""),
        Error::InvalidInfo(String::new()),
        Error::AuthRequired,
        Error::InvalidToken(""),
        Error::AccessDenied(""),
        Error::AccountDisabled,
        Error::NotFound("resource"),
        Error::QuotaExceeded {
            what: "",
            limit: 0,
            count: 0,
        },
        Error::StaleVersion,
        Error::UpstreamTimeout(""),
        Error::DatabaseUnavailable("".into()),
        Error::Unavailable {
            what: "",
            source: "".into(),
        },
        Error::internal(""),
    ];
    let problems = [
        Problem::Exchange(ExchangeError::Unreachable(String::new())),
        Problem::MethodNotAllowed,
        Problem::BodyTooLarge(0),
        Problem::UnsupportedMediaType(String::new()),
        Problem::RateLimited {
            limit: 0,
            seconds: 0,
        },
    ];

    let rejections = Rejection::ALL
        .into_iter()
        .filter(|rejection| !rejection.is_unresolved())
        .map(Error::from);
    let sign_in = sign_in.map(|problem| Error::sign_in(problem, ""));
    errors
        .into_iter()
        .chain(conflicts.map(Error::Conflict))
        .chain(sign_in)
        .chain(rejections)
        .map(Problem::from)
        .chain(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document::completed;
    use crate::http::router::service;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// Codes that no operation documents: the first is returned for unknown methods, the second only for events.
    const UNDOCUMENTED: [&str; 2] = ["METHOD_NOT_ALLOWED", "UNLOCK_EXCEEDS_LOCKED"];

    #[test]
    fn lists_every_documented_code() {
        let document: Value = serde_json::from_str(&completed(&service().spec())).expect("JSON");
        let mut documented: BTreeSet<String> = UNDOCUMENTED.map(str::to_owned).into();
        let paths = document["paths"].as_object().expect("paths");
        for operation in paths
            .values()
            .flat_map(|path| path.as_object().into_iter().flatten())
        {
            for (status, response) in operation.1["responses"].as_object().expect("responses") {
                let description = response["description"].as_str().expect("a description");
                let quoted = description.split('`').skip(1).step_by(2);
                let is_code = |word: &&str| {
                    word.contains('_') && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                };
                if status.as_str() >= "400" {
                    documented.extend(quoted.filter(is_code).map(str::to_owned));
                }
            }
        }

        let listed: BTreeSet<String> = problems()
            .map(|problem| problem.code().to_owned())
            .collect();

        assert_eq!(listed, documented);
    }
}
