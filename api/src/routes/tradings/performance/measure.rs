//! Measures a trading of the caller, on the replica when that has all that was booked.

use crate::http::problem::Problem;
use crate::routes::range::ends;
use crate::state::State;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tiris_domain::ids::{TradingId, UserId};
use tiris_domain::performance::{Interval, POINTS_MAX, Period, TooManyPoints};
use tiris_store::error::{Error, Result};
use tiris_store::performance::{Measured, Question, measure};
use tiris_store::tradings;

/// What a caller asks for.
pub(super) struct Wanted {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
    pub(super) quote: Option<String>,
    /// Of the curve, when one is wanted.
    pub(super) interval: Option<Interval>,
}

/// Measures a trading; `None` when it has no transaction with a price and no quote was given.
pub(super) async fn measured(
    state: &State,
    user: UserId,
    trading: TradingId,
    wanted: Wanted,
) -> Result<Option<Measured>, Problem> {
    let (from, to) = ends(wanted.from, wanted.to)?;
    let quote = wanted.quote.map(|quote| quote.parse());
    let quote = quote
        .transpose()
        .map_err(|why: String| Error::invalid("quote", why))?;
    tradings::check_living(&state.pool, user, trading).await?;
    let question = Question {
        user,
        trading,
        period: Period { from, to },
        quote,
        interval: wanted.interval,
    };

    let _place = state.streams.measures.take(user)?;
    // Half of the connections to the database are left to others. The semaphore is never closed.
    let _turn = state.streams.reads.acquire().await.ok();
    let replica = match tradings::last_change(&state.pool, trading).await? {
        Some(newest) => state.histories.replica(newest).await,
        None => None,
    };
    let mut answer = None;
    if let Some(replica) = replica {
        answer = replica.query_slow(ask(replica.pool(), &question)).await;
    }
    let answer = match answer {
        Some(answer) => answer,
        None => ask(&state.pool, &question).await?,
    };

    answer.map_err(|TooManyPoints| {
        let why = format!("leaves more than {POINTS_MAX} points: choose a shorter range, or days");
        Error::invalid("from", why).into()
    })
}

async fn ask(
    pool: &PgPool,
    question: &Question,
) -> Result<Result<Option<Measured>, TooManyPoints>> {
    let mut snapshot = pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let answer = measure(&mut snapshot, question).await?;
    snapshot.rollback().await?;
    Ok(answer)
}
