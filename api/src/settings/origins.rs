//! The web origins that may call the API from a browser.

use tiris_runtime::config::{Environment, Problems, entries, is_loopback};

const VARIABLE: &str = "TIRIS_CORS_ORIGINS";
/// The portal, the admin pages and the documentation, with their development versions.
pub(super) const DEFAULT: &str = "https://tiris.ai,https://admin.tiris.ai,https://docs.tiris.ai,\
    https://dev.tiris.ai,https://dev.admin.tiris.ai,https://dev.docs.tiris.ai";

/// Returns whether this is an https URL of another machine.
fn is_public_https(url: &str) -> bool {
    let url = reqwest::Url::parse(url)
        .ok()
        .filter(|url| url.scheme() == "https");
    url.is_some_and(|url| url.host_str().is_some_and(|host| !is_loopback(host)))
}

/// Returns the origins of a list, and adds the malformed ones to `problems`.
pub(super) fn parse(
    text: &str,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Vec<String> {
    for origin in entries(text) {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let why = if host.is_none_or(|host| host.is_empty() || host.contains(['/', '*'])) {
            "must look like https://host[:port]"
        } else if environment == Some(Environment::Production) && !is_public_https(origin) {
            "must be https and not a name of the local machine in production"
        } else {
            continue;
        };
        problems.add(VARIABLE, format_args!("{why} (given: {origin:?})"));
    }

    entries(text).map(str::to_owned).collect()
}
