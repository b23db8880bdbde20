//! Faults about once a second under load.
//!
//! Owns: for how long. Must not know: what a fault is.

use crate::faults;
use crate::finish::end;
use crate::report::Outcome;
use crate::run::{Load, Options, Run};
use anyhow::Result;
use std::time::Duration;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let load = Load {
        name: "faults",
        events: options.events,
        duration: Duration::from_secs(u64::from(options.seconds)),
    };
    let run = Run::begin(load, options, None).await?;
    run.phase_of_load("injecting");
    let injected = faults::inject(&run, load.duration).await;
    end(run, injected.map(|()| Vec::new())).await
}
