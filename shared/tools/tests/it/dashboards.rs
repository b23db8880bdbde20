//! The dashboards of the folder `docker` against the metrics our programs serve while a bot trades.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tiris_testing::{eventually, scratch_dir};

/// Some metrics are updated only once in a while.
const SERVED_LIMIT: Duration = Duration::from_secs(90);

/// Waits until each metric of a dashboard is served; counters of failures may be missing.
pub(crate) async fn find_all_metrics(variables: &BTreeMap<String, String>) -> Result<()> {
    let folder = scratch_dir("metrics")?;
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker/check.py");
    let client = reqwest::Client::builder().no_proxy().build()?;

    eventually("all metrics of the dashboards", SERVED_LIMIT, async || {
        let mut command = Command::new("python3");
        command.arg(&check).arg("live");
        for name in ["API_ADMIN_URL", "INGEST_ADMIN_URL"] {
            let url = format!("{}/metrics", variables[name]);
            let response = client.get(url).send().await?.error_for_status()?;
            let file = folder.path().join(name);
            std::fs::write(&file, response.bytes().await?)?;
            command.arg(file);
        }

        let output = command.output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{printed}");
        Ok(())
    })
    .await
}
