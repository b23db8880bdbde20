//! Faults about once a second under load.

use crate::faults;
use crate::finish::end;
use crate::publishing::Publishing;
use crate::report::Outcome;
use crate::run::{Load, Options};
use anyhow::Result;
use std::time::Duration;

pub(crate) async fn run(options: &Options) -> Result<Outcome> {
    let load = Load {
        name: "faults",
        events: options.events,
        duration: Duration::from_secs(u64::from(options.seconds)),
        has_unreadable: false,
    };
    let (run, publishing) = Publishing::begin(load, options).await?;
    run.phase("injecting");
    let injected = faults::inject(&run).await;
    end(run, publishing, injected.map(|()| Vec::new())).await
}
