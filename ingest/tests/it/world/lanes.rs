//! Lanes that a test takes and steps.

use super::{LANES, WAIT, World};
use anyhow::{Result, ensure};
use tiris_domain::lane::EventStream;
use tiris_domain::lane::LaneKey;
use tiris_ingest::context::Context;
use tiris_ingest::lane::{Lane, Step};
use tiris_ingest::stream::state_of;
use tiris_store::lanes;
use tiris_testing::eventually;
use tokio_util::sync::CancellationToken;

impl World {
    /// Returns the lane of the user's orders and balances; publishes a credit of 1 BTC to find it.
    pub(crate) async fn own_lane(&self) -> Result<LaneKey> {
        let stored = self.publish(&self.subject(), &self.btc_credit("1")).await?;
        Ok(LaneKey {
            stream: EventStream::Trading,
            lane: stored.lane()?,
        })
    }

    /// Returns the user's lane with a credit of 1 BTC applied.
    pub(crate) async fn lane(&self) -> Result<Lane> {
        self.lane_with(self.context()).await
    }

    pub(crate) async fn lane_with(&self, context: Context) -> Result<Lane> {
        let mut lane = seize(context, self.own_lane().await?).await?;
        drain(&mut lane).await?;
        Ok(lane)
    }

    /// Runs all lanes of both streams until `done` succeeds.
    pub(crate) async fn run_until(
        &self,
        what: &str,
        done: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        self.run_with(self.context(), what, done).await
    }

    pub(crate) async fn run_with(
        &self,
        context: Context,
        what: &str,
        done: impl AsyncFnMut() -> Result<()>,
    ) -> Result<()> {
        let stop = CancellationToken::new();
        let mut tasks = tokio::task::JoinSet::new();
        for stream in EventStream::ALL {
            for lane in 0..=LANES {
                let id = LaneKey { stream, lane };
                // Retried, because a message for an earlier lane may have broken the common connection.
                let taken =
                    eventually("a lane", WAIT, async || seize(context.clone(), id).await).await?;
                tasks.spawn(taken.run(stop.clone()));
            }
        }

        let result = eventually(what, WAIT, done).await;
        stop.cancel();
        let kept = tasks.join_all().await;

        result?;
        ensure!(kept.iter().all(|kept| *kept), "a lane was lost");
        Ok(())
    }
}

/// Takes a lane from its owner.
pub(crate) async fn seize(context: Context, key: LaneKey) -> Result<Lane> {
    let found = state_of(&context.connection, key.stream).await?;
    lanes::ensure(&context.pool, &[key], found.created_at).await?;
    let state = lanes::seize(&context.pool, key, context.owner, context.lease).await?;
    Ok(Lane::new(context, key, state))
}

pub(crate) async fn step(lane: &mut Lane) -> Step {
    lane.step(&CancellationToken::new()).await
}

/// Steps until the lane has nothing more to do.
pub(crate) async fn drain(lane: &mut Lane) -> Result<()> {
    let last = last_step(lane).await;
    ensure!(last == Step::Idle, "{last:?}");
    Ok(())
}

/// Steps while the lane commits. Returns the first other step.
pub(crate) async fn last_step(lane: &mut Lane) -> Step {
    loop {
        match step(lane).await {
            Step::Committed(_) | Step::Narrowed | Step::Followed => {}
            other => return other,
        }
    }
}

/// Does a step, in which the lane must commit or be idle.
pub(crate) async fn advances(lane: &mut Lane) -> Result<()> {
    let step = step(lane).await;
    let advances = matches!(
        step,
        Step::Committed(_) | Step::Narrowed | Step::Followed | Step::Idle
    );
    ensure!(advances, "{step:?}");
    Ok(())
}

/// Does a step, in which the lane must wait for a broken dependency.
pub(crate) async fn waits(lane: &mut Lane) -> Result<()> {
    let step = step(lane).await;
    ensure!(matches!(step, Step::Waiting(_)), "{step:?}");
    Ok(())
}
