//! `GET /v1/tradings/{id}/performance` and `GET /v1/tradings/{id}/equity`

mod measure;
mod object;

use crate::routes::prelude::*;
use crate::routes::range::Interval;
use measure::{Wanted, measured};
use object::{Equity, Performance};
use tiris_domain::performance;

operation!(GetPerformance: User, General, [INVALID, NOT_FOUND]);

operation!(GetEquity: User, General, [INVALID, NOT_FOUND]);

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Performance")]
impl GetPerformance {
    /// Get the performance of a trading
    ///
    /// Returns profit, returns, risk ratios and trade statistics of a period, computed from the transactions of the
    /// trading by event time. The transactions of an order at one moment are one trade, and the amounts exchanged by
    /// the trading's own trades price its assets. `shared/docs/REST.md` defines the figures. The whole history is read,
    /// so long tradings take longer; a user can run two of these requests at once, a further one fails with
    /// `RATE_LIMITED`.
    #[oai(
        path = "/:id/performance",
        method = "get",
        operation_id = "getPerformance"
    )]
    async fn performance(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading, from `GET /v1/tradings`
        id: Path<Uuid>,
        /// Start of the period, RFC 3339; earlier transactions form the opening state. By default the first transaction
        from: Query<Option<QueryTime>>,
        /// End of the period, RFC 3339, exclusive; by default the last transaction
        to: Query<Option<QueryTime>>,
        /// Symbol of the asset all figures are in, such as `USDT`; by default the one most trades were paid in
        quote: Query<Option<String>>,
    ) -> Answer<Performance, Self> {
        let mut answer = state.answers.begin(caller.user());
        answer.enlarge().await?;
        let wanted = Wanted {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: None,
        };
        let found = measured(&state, &mut answer, caller.user(), TradingId(id.0), wanted).await?;

        let quote = found.as_ref().map(|found| found.quote.to_string());
        let found = found.map(|found| found.performance);
        let found = found.unwrap_or_else(performance::Performance::default);
        Ok(Reply::list(Performance::new(id.0, quote, found), answer))
    }
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Performance")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl GetEquity {
    /// Get the equity curve of a trading
    ///
    /// Returns one point for each hour or day with transactions, at most 10,000; a range with more points is rejected
    /// with `INVALID_VALUE`. The same limits as for the performance apply.
    #[oai(path = "/:id/equity", method = "get", operation_id = "getEquity")]
    async fn equity(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the trading, from `GET /v1/tradings`
        id: Path<Uuid>,
        /// Start of the period, RFC 3339; earlier transactions form the opening state. By default the first transaction
        from: Query<Option<QueryTime>>,
        /// End of the period, RFC 3339, exclusive; by default the last transaction
        to: Query<Option<QueryTime>>,
        /// Length of an interval: `hour` or `day` (default), UTC
        interval: Query<Option<Interval>>,
        /// Symbol of the asset values are in, such as `USDT`; by default the one most trades were paid in
        quote: Query<Option<String>>,
    ) -> Answer<Equity, Self> {
        let interval = interval.0.unwrap_or(Interval::Day);
        let mut answer = state.answers.begin(caller.user());
        answer.enlarge().await?;
        let wanted = Wanted {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: Some(interval.into()),
        };
        let found = measured(&state, &mut answer, caller.user(), TradingId(id.0), wanted).await?;

        let quote = found.as_ref().map(|found| found.quote.to_string());
        let (points, found) = found.map_or_else(
            || (Vec::new(), performance::Performance::default()),
            |found| (found.points, found.performance),
        );
        let equity = Equity::new(id.0, quote, interval, points, &found);
        Ok(Reply::list(equity, answer))
    }
}
