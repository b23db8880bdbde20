//! The metrics of this process in Prometheus text format: the recorder, its upkeep, and what is sampled on each scrape.
//! [`catalog`] lists every metric.

pub mod catalog;

use anyhow::Result;
use catalog::{Kind, METRICS, Metric, Program};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::RuntimeMetrics;

/// Without regular upkeep the histograms of the recorder grow without bound.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder of the process; without it nothing is recorded and nothing shown.
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
    let is_own = |metric: &&Metric| match metric.program {
        Program::Api => service == "tiris-api",
        Program::Ingest => service == "tiris-ingest",
        Program::Both => true,
    };
    let own = METRICS.iter().filter(is_own);
    own.filter(|metric| metric.labels.is_empty())
        .for_each(initialize);
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

/// Exposes a metric before its first event: rules do not see a counter that begins at 1.
fn initialize(metric: &Metric) {
    match metric.kind {
        Kind::Counter => metrics::counter!(metric.name).increment(0),
        Kind::Gauge if metric.program != Program::Both => metrics::gauge!(metric.name).increment(0),
        Kind::Gauge | Kind::Histogram(_) => {}
    }
}

/// Renders the recorded metrics; clones are cheap and share the pools.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: Option<PrometheusHandle>,
    process: metrics_process::Collector,
    pools: Arc<Mutex<Vec<(&'static str, PgPool)>>>,
}

impl Metrics {
    /// Adds the connections of `pool` to the metrics.
    pub fn watch(&self, name: &'static str, pool: &PgPool) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push((name, pool.clone()));
    }

    /// Returns all metrics as Prometheus text.
    #[must_use]
    pub(crate) fn render(&self) -> String {
        let Some(handle) = &self.handle else {
            return String::new();
        };

        self.process.collect();
        sample_runtime(&tokio::runtime::Handle::current().metrics());
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, pool) in pools.iter() {
            sample_pool(name, pool);
        }

        handle.render()
    }
}

fn sample_runtime(metrics: &RuntimeMetrics) {
    let workers = metrics.num_workers();
    let busy: Duration = (0..workers)
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum();
    metrics::gauge!("runtime_workers").set(gauge(workers));
    metrics::gauge!("runtime_tasks").set(gauge(metrics.num_alive_tasks()));
    metrics::gauge!("runtime_queue_depth").set(gauge(metrics.global_queue_depth()));
    metrics::counter!("runtime_busy_seconds_total").absolute(busy.as_secs());
}

fn sample_pool(name: &'static str, pool: &PgPool) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    let used = pool.size().saturating_sub(idle);
    for (state, count) in [("idle", idle), ("used", used)] {
        metrics::gauge!("database_connections", "pool" => name, "state" => state)
            .set(f64::from(count));
    }

    let max = pool.options().get_max_connections();
    metrics::gauge!("database_connections_max", "pool" => name).set(f64::from(max));
}

/// Gauges are floats; counts beyond u32 are not expected and saturate.
fn gauge(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
