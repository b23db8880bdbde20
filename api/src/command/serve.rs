//! Serves the API and its admin listener until the process is told to stop.

use crate::app::App;
use crate::settings::ServeArgs;
use anyhow::Context;
use tiris_shared::{admin, database, metrics, shutdown, telemetry};

/// Runs until SIGTERM or SIGINT, then drains.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let settings = args.check()?;
    telemetry::init("tiris-api", &settings.service.log);
    log_panics();
    let stop = shutdown::on_signals().context("cannot listen for signals")?;
    let metrics = metrics::install("tiris-api").context("cannot start metrics")?;
    let pool = database::pool(&settings.database, "tiris-api").context("cannot use DATABASE_URL")?;
    let app = App::build(&settings, pool).await?;
    let admin = admin::serve(settings.service.admin_listen, app.readiness(), metrics, stop.clone())
        .await
        .with_context(|| format!("cannot listen on TIRIS_ADMIN_LISTEN {}", settings.service.admin_listen))?;
    tracing::info!(api = %app.address(), admin = %admin, "listening");
    app.run_until(stop).await
}

/// A panic becomes a log line like any other, in the form log collectors understand.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(error = %panic, "panic");
    }));
}
