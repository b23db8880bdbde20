//! The metrics of this process in the form Prometheus reads.
//!
//! Owns: the recorder, its histogram buckets and upkeep. Must not know: which metrics there are.

use crate::error::{Error, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;

/// Upper bounds of duration histograms, in seconds.
const SECONDS_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of size histograms, in things.
const SIZE_BUCKETS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];
/// Without regular upkeep the recorder's histograms grow for ever.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder for the process and keeps it trim.
pub fn install() -> Result<Metrics> {
    let internal = |error: metrics_exporter_prometheus::BuildError| Error::Internal(error.into());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_size".into()), &SIZE_BUCKETS))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(internal)?;
    let process = metrics_process::Collector::default();
    process.describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Metrics { handle, process })
}

/// Reads what was recorded.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
}

impl Metrics {
    /// All metrics now, as Prometheus text.
    #[must_use]
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}
