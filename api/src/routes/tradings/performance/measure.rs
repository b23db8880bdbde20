//! Measures a trading, on the replica if that has all its transactions.

use crate::http::answer;
use crate::http::problem::Problem;
use crate::routes::prelude::*;
use crate::routes::range::ends;
use sqlx::PgPool;
use tiris_domain::performance::{Interval, POINTS_MAX, Period, TooManyPoints};
use tiris_domain::value::Invalid;
use tiris_store::performance::{Measured, Question, measure};
use tiris_store::tradings;

/// The parameters of a measurement.
pub(super) struct Wanted {
    pub(super) from: Option<QueryTime>,
    pub(super) to: Option<QueryTime>,
    pub(super) quote: Option<String>,
    /// The interval of the equity curve, if one is requested.
    pub(super) interval: Option<Interval>,
}

/// Measures a trading; `None` if no quote is given and no transaction has a price.
pub(super) async fn measured(
    state: &State,
    permits: &mut answer::Answer,
    user: UserId,
    trading: TradingId,
    wanted: Wanted,
) -> Result<Option<Measured>, Problem> {
    let (from, to) = ends(wanted.from, wanted.to)?;
    let quote = wanted.quote.map(|quote| quote.parse());
    let quote = quote
        .transpose()
        .map_err(|why: Invalid| Error::invalid("quote", why.to_string()))?;
    tradings::check_living(&state.pool, user, trading).await?;
    let question = Question {
        user,
        trading,
        period: Period { from, to },
        quote,
        interval: wanted.interval,
    };

    let _place = state.streams.measures.take(user)?;
    let _turn = permits.turn().await?;
    let replica = match tradings::last_change(&state.pool, trading).await? {
        Some(newest) => state.histories.replica(newest).await,
        None => None,
    };
    let mut answer = None;
    if let Some(replica) = replica {
        answer = replica
            .query_slow(measure_on(replica.pool(), &question))
            .await;
    }
    let answer = match answer {
        Some(answer) => answer,
        None => measure_on(&state.pool, &question).await?,
    };

    answer.map_err(|TooManyPoints| {
        let why = format!("leaves more than {POINTS_MAX} points: choose a shorter range or days");
        Error::invalid("from", why).into()
    })
}

/// Measures in one snapshot of the database.
async fn measure_on(
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
