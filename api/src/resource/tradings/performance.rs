//! How well a trading did, and the curve of it.

mod object;

use super::object::Trading;
use crate::auth::Caller;
use crate::envelope::{Answer, Reply};
use crate::error::Problem;
use crate::resource::Tag;
use crate::resource::range::{Interval, ends};
use crate::resource::refusals::One;
use crate::state::State;
use chrono::{DateTime, Utc};
use object::{Equity, Performance};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use sqlx::PgPool;
use tiris_domain::ids::TradingId;
use tiris_domain::performance::{self, POINTS_MAX, Period, TooManyPoints};
use tiris_store::error::{Error, Result};
use tiris_store::performance::{Measured, Question, measure};
use uuid::Uuid;

/// Operations on the performance of tradings.
pub(crate) struct Performances;

/// What a caller asks for.
struct Asked {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    quote: Option<String>,
    interval: Option<performance::Interval>,
}

/// Measures a trading of the caller.
async fn measured(
    state: &State,
    caller: &Caller,
    id: Uuid,
    asked: Asked,
) -> Result<Option<Measured>, Problem> {
    let (from, to) = ends(asked.from, asked.to)?;
    let quote = asked.quote.map(|quote| {
        quote
            .parse()
            .map_err(|why: String| Error::invalid("quote", why))
    });
    Trading::load(&state.db, caller.user(), id).await?;
    let question = Question {
        user: caller.user(),
        trading: TradingId(id),
        period: Period { from, to },
        quote: quote.transpose()?,
        interval: asked.interval,
    };
    let _place = state.streams.measures.take(caller.user())?;
    // Half of the connections to the database are left to others. The semaphore is never closed.
    let _turn = state.streams.reads.acquire().await.ok();
    // Whatever is booked changes an account, so all of it is as old as the last change of one.
    let newest: Option<DateTime<Utc>> =
        sqlx::query_scalar("SELECT max(updated_at) FROM sub_accounts WHERE trading_id = $1")
            .bind(id)
            .fetch_one(&state.pool)
            .await
            .map_err(Error::from)?;
    let replica = match newest {
        Some(newest) => state.histories.replica(newest).await,
        None => None,
    };
    let mut answer = None;
    if let Some(replica) = replica {
        answer = replica.ask_at_length(ask(replica.pool(), &question)).await;
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

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl Performances {
    /// How well the trading did
    ///
    /// Computed from its transactions, always by event time; the README of the API defines every figure. Prices are those
    /// of the trading's own trades. A user may have two of these under way at once.
    #[oai(
        path = "/:id/performance",
        method = "get",
        operation_id = "getPerformance"
    )]
    async fn performance(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
        /// From this moment on; what was before counts as the state it begins with. By default the first transaction
        from: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive; by default the last transaction
        to: Query<Option<DateTime<Utc>>>,
        /// Symbol of the asset figures are in; by default the one most of the trades were paid in
        quote: Query<Option<String>>,
    ) -> Answer<Performance, One> {
        let asked = Asked {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: None,
        };
        let found = measured(&state, &caller, id.0, asked).await?;
        let (quote, found) = match found {
            Some(found) => (Some(found.quote.to_string()), found.performance),
            None => (None, performance::Performance::nothing()),
        };
        Ok(Reply::new(Performance::new(id.0, quote, found)))
    }

    /// The curve of its value and of its return
    ///
    /// One point for every hour or day in which something happened, at most 10,000.
    #[oai(path = "/:id/equity", method = "get", operation_id = "getEquity")]
    async fn equity(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
        /// From this moment on; what was before counts as the state it begins with. By default the first transaction
        from: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive; by default the last transaction
        to: Query<Option<DateTime<Utc>>>,
        /// Length of a piece: `hour` or `day` (default), UTC
        interval: Query<Option<Interval>>,
        /// Symbol of the asset figures are in; by default the one most of the trades were paid in
        quote: Query<Option<String>>,
    ) -> Answer<Equity, One> {
        let interval = interval.0.unwrap_or(Interval::Day);
        let asked = Asked {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: Some(interval.into()),
        };
        let found = measured(&state, &caller, id.0, asked).await?;
        let quote = found.as_ref().map(|found| found.quote.to_string());
        let (points, found) = match found {
            Some(found) => (found.points, found.performance),
            None => (Vec::new(), performance::Performance::nothing()),
        };
        Ok(Reply::new(Equity::new(
            id.0, quote, interval, points, &found,
        )))
    }
}
