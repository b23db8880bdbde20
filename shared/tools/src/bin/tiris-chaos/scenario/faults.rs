//! Faults about once a second under load.
//!
//! Owns: for how long. Must not know: what a fault is.

use super::{Options, Run};
use crate::faults;
use crate::report::Outcome;
use anyhow::Result;
use std::time::Duration;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let duration = Duration::from_secs(u64::from(options.seconds));
    let run = Run::begin("faults", options, (options.events, duration), None).await?;
    run.options.view.phase("faults: injecting", run.planned);
    let injected = faults::inject(&run, duration).await;
    run.end(injected.map(|()| Vec::new())).await
}
