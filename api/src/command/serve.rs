//! Serves the API and its admin listener until a signal stops the process.

use crate::app::App;
use crate::settings::ServeArgs;
use anyhow::Context;
use tiris_runtime::{admin, metrics, shutdown, telemetry};
use tiris_store::drift;
use tokio_util::sync::CancellationToken;

/// Runs until SIGTERM or SIGINT, then drains.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let settings = args.check()?;
    let telemetry = telemetry::init_service("tiris-api", &settings.service)
        .context("cannot start telemetry")?;
    log_panics();

    let stop = shutdown::on_signals().context("cannot listen for signals")?;
    let metrics =
        metrics::install("tiris-api", settings.service.metrics).context("cannot start metrics")?;
    drift::begin();
    let app = App::build(&settings).await?;
    for (name, pool) in app.pools() {
        metrics.watch(name, pool);
    }

    // The admin listener serves until the last response, so that metrics show the drain.
    let drained = CancellationToken::new();
    let listen = settings.service.admin_listen;
    let admin = admin::serve(listen, app.health(), metrics, drained.clone())
        .await
        .with_context(|| format!("cannot listen on TIRIS_ADMIN_LISTEN {listen}"))?;
    tracing::info!(api = %app.address(), admin = %admin, "listening");

    let result = app.run_until(stop).await;
    drained.cancel();
    telemetry.flush().await;
    result
}

/// Writes panics to the log, in the form that log collectors parse.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(error = %panic, "panic");
    }));
}
