//! The web origins that may call the API from a browser.

use tiris_runtime::config::{Environment, Problems, entries, is_loopback};

const VARIABLE: &str = "TIRIS_CORS_ORIGINS";
/// The portal, the admin pages and the documentation of production.
const PRODUCTION: &str = "https://tiris.ai,https://admin.tiris.ai,https://docs.tiris.ai";
/// The same of staging, which serves development too.
const STAGING: &str = "https://dev.tiris.ai,https://admin.dev.tiris.ai,https://docs.dev.tiris.ai";

/// Returns whether this is an https URL of another machine.
fn is_public_https(url: &str) -> bool {
    let url = reqwest::Url::parse(url)
        .ok()
        .filter(|url| url.scheme() == "https");
    url.is_some_and(|url| url.host_str().is_some_and(|host| !is_loopback(host)))
}

/// Returns the origins of a list, by default those of the environment, and adds the malformed ones to `problems`.
pub(super) fn parse(
    given: Option<&str>,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Vec<String> {
    let text = given.unwrap_or(match environment {
        Some(Environment::Production) => PRODUCTION,
        Some(Environment::Staging | Environment::Dev) | None => STAGING,
    });
    for origin in entries(text) {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let why = if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*'])) {
            "must look like https://host[:port]"
        } else if environment.is_some_and(Environment::is_strict) && !is_public_https(origin) {
            "must be https and not a name of the local machine outside development"
        } else {
            continue;
        };
        problems.add(VARIABLE, format_args!("{why} (given: {origin:?})"));
    }

    entries(text).map(str::to_owned).collect()
}
