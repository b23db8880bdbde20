//! The HTTP client of the tests.

use crate::world::WAIT;
use anyhow::Result;

pub(crate) fn client() -> Result<reqwest::Client> {
    tiris_runtime::tls::choose_provider();
    let client = reqwest::Client::builder().no_proxy().connect_timeout(WAIT);
    Ok(client.build()?)
}

pub(crate) async fn get(url: &str) -> Result<String> {
    Ok(client()?.get(url).send().await?.text().await?)
}
