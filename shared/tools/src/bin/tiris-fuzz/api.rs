//! The API under test: its process and its operations.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tiris_testing::local_http_client;
use tiris_tools::ApiServer;

const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// The address in the document's example of a login.
const REDIRECT_URI: &str = "https://tiris.ai/auth/callback";

/// Starts an API that sends no requests to the outside; ready on return.
pub(crate) async fn start(database_url: &str, folder: &Path) -> Result<ApiServer> {
    let mut api = ApiServer::launch(database_url, folder, |mut command| {
        for exchange in ["BINANCE", "KRAKEN", "GATE"] {
            command = command.env(format!("TIRIS_{exchange}_URL"), "http://127.0.0.1:9");
        }
        command
            .env("TIRIS_REDIRECT_URIS", REDIRECT_URI)
            .env("TIRIS_GOOGLE_CLIENT_ID", "the-client")
            .env("TIRIS_GOOGLE_CLIENT_SECRET", "the-secret")
            .env("TIRIS_GOOGLE_TOKEN_URL", "http://127.0.0.1:9/token")
            .env("TIRIS_GOOGLE_JWKS_URL", "http://127.0.0.1:9/jwks")
            .log(folder.join("api.log"))
    })?;
    api.wait_until_ready().await?;
    Ok(api)
}

/// Returns all documented operations as method and path.
pub(crate) async fn operations(url: &str) -> Result<Vec<String>> {
    let request = local_http_client(REQUEST_LIMIT)?.get(format!("{url}/openapi.json"));
    let document: Value = request.send().await?.json().await?;
    let paths = document["paths"]
        .as_object()
        .context("the document has no paths")?;

    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flat_map(|item| item.keys());
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    Ok(operations.collect())
}
