//! Figures that are read off when somebody asks for them.

use sqlx::PgPool;
use std::time::Duration;
use tokio::runtime::RuntimeMetrics;

/// The threads and tasks of the runtime.
pub(super) fn runtime(metrics: &RuntimeMetrics) {
    metrics::gauge!("runtime_workers").set(gauge(metrics.num_workers()));
    metrics::gauge!("runtime_tasks").set(gauge(metrics.num_alive_tasks()));
    metrics::gauge!("runtime_queue_depth").set(gauge(metrics.global_queue_depth()));
    let busy: Duration = (0..metrics.num_workers())
        .map(|worker| metrics.worker_total_busy_duration(worker))
        .sum();
    metrics::counter!("runtime_busy_seconds_total").absolute(busy.as_secs());
}

/// The connections of a pool.
pub(super) fn pool(name: &'static str, pool: &PgPool) {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    let used = pool.size().saturating_sub(idle);
    for (state, count) in [("idle", idle), ("used", used)] {
        let count = f64::from(count);
        metrics::gauge!("database_connections", "pool" => name, "state" => state).set(count);
    }

    let max = f64::from(pool.options().get_max_connections());
    metrics::gauge!("database_connections_max", "pool" => name).set(max);
}

/// Gauges are floats; beyond four thousand million one more makes no difference.
fn gauge(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
