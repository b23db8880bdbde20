//! HTTP to this machine.

use std::time::Duration;

/// Returns a client that asks no proxy: the addresses are those of this machine.
///
/// # Errors
/// When the client cannot be made.
pub fn local_http_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    tiris_runtime::tls::choose_provider();
    reqwest::Client::builder()
        .timeout(timeout)
        .no_proxy()
        .build()
}
