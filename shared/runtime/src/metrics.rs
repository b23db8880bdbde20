//! The metrics of this process in the form Prometheus reads.
//!
//! Owns: the recorder and its upkeep, and what is sampled when somebody reads: process, runtime, pools. Must not know:
//! who records the rest; [`catalog`] lists all of them.

pub mod catalog;
mod sample;

use anyhow::Result;
use catalog::{Kind, METRICS, Metric, Program};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Without regular upkeep the recorder's histograms grow for ever.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder for the process and keeps it trim; without it nothing is kept and nothing is shown.
pub fn install(service: &'static str, is_on: bool) -> Result<Metrics> {
    let handle = is_on.then(|| recorder(service)).transpose()?;
    Ok(Metrics {
        handle,
        process: metrics_process::Collector::default(),
        pools: Arc::default(),
    })
}

fn recorder(service: &'static str) -> Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }

    let handle = builder.install_recorder()?;
    METRICS.iter().for_each(describe);
    let own = METRICS
        .iter()
        .filter(|metric| metric.program.is_of(service));
    own.filter(|metric| metric.labels.is_empty())
        .for_each(begin);
    metrics::gauge!("build_info", "service" => service, "version" => env!("CARGO_PKG_VERSION"))
        .set(1);

    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            tick.tick().await;
            upkeep.run_upkeep();
        }
    });

    Ok(handle)
}

fn describe(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
        Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
    }
}

/// Rules see the growth of a counter, not its birth: each is there before the first time.
fn begin(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metrics::counter!(metric.name).increment(0),
        Kind::Gauge if metric.program != Program::Both => metrics::gauge!(metric.name).increment(0),
        Kind::Gauge | Kind::Histogram(_) => {}
    }
}

/// Reads what was recorded.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: Option<PrometheusHandle>,
    process: metrics_process::Collector,
    pools: Arc<Mutex<Vec<(&'static str, PgPool)>>>,
}

impl Metrics {
    /// Also tells how many connections of `pool` there are.
    pub fn watch(&self, name: &'static str, pool: &PgPool) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push((name, pool.clone()));
    }

    /// All metrics now, as Prometheus text.
    #[must_use]
    pub fn render(&self) -> String {
        let Some(handle) = &self.handle else {
            return String::new();
        };

        self.process.collect();
        sample::runtime(&tokio::runtime::Handle::current().metrics());
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, pool) in pools.iter() {
            sample::pool(name, pool);
        }

        handle.render()
    }
}
