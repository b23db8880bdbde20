//! The tasks that publish the load of a run.

use crate::load::late;
use crate::load::publish;
use crate::load::script;
use crate::load::users::create;
use crate::run::{Load, Options, Run};
use crate::system::{Setup, System};
use crate::tally::Tally;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_tools::Stall;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const LATE_QUEUE: usize = 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The tasks of a load. Dropping them ends the load.
#[derive(Debug)]
pub(crate) struct Publishing {
    publishers: JoinSet<Result<()>>,
    late: AbortOnDropHandle<usize>,
}

impl Publishing {
    /// Starts the system and its load.
    pub(crate) async fn begin(load: Load, options: &Options) -> Result<(Arc<Run>, Self)> {
        Self::begin_on(Setup::new(options), load, options).await
    }

    /// Like [`Self::begin`], on another system than the usual one.
    pub(crate) async fn begin_on(
        setup: Setup<'_>,
        load: Load,
        options: &Options,
    ) -> Result<(Arc<Run>, Self)> {
        options.view.phase(&format!("{}: starting", load.name), 0);
        let (users, scripts) = script::draw_all(options.seed, load.events).await?;
        let planned = scripts.iter().map(Vec::len).sum::<usize>();
        let system = System::start(setup).await?;
        create(&system.pool, &users).await?;

        let run = Arc::new(Run {
            load,
            options: options.clone(),
            system,
            users,
            published: Tally::default(),
            faults: Tally::default(),
            begun: Instant::now(),
            planned: u64::try_from(planned)?,
        });
        let (sender, wanted) = mpsc::channel(LATE_QUEUE);
        let publish = |script| publish::run(run.clone(), sender.clone(), script);
        let publishing = Self {
            publishers: scripts.into_iter().map(publish).collect(),
            late: AbortOnDropHandle::new(tokio::spawn(late::run(run.clone(), wanted))),
        };
        Ok((run, publishing))
    }

    /// Waits until everything is published and every late resource is created; returns the number of late resources.
    pub(crate) async fn end(mut self, run: &Run) -> Result<usize> {
        let mut stall = Stall::default();
        loop {
            match tokio::time::timeout(POLL_INTERVAL, self.publishers.join_next()).await {
                Ok(None) => break,
                Ok(Some(ended)) => ended??,
                Err(_) => {}
            }
            let published = run.published.get("messages");
            stall.check(format_args!("{published} messages published"))?;
            run.progress();
        }

        Ok(self.late.await?)
    }
}
