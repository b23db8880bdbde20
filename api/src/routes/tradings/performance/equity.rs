//! `GET /v1/tradings/{id}/equity`

use super::measure::{Wanted, measured};
use super::object::Equity;
use crate::routes::prelude::*;
use crate::routes::range::Interval;
use tiris_domain::ids::TradingId;
use tiris_domain::performance;

/// Get the equity curve of a trading.
pub(crate) struct GetEquity;

impl Policy for GetEquity {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl GetEquity {
    /// The curve of its value and of its return
    ///
    /// One point for every hour or day in which something happened, at most 10,000.
    #[oai(path = "/:id/equity", method = "get", operation_id = "getEquity")]
    async fn equity(
        &self,
        caller: Caller<Self>,
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
    ) -> Answer<Equity, Self> {
        let interval = interval.0.unwrap_or(Interval::Day);
        let wanted = Wanted {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: Some(interval.into()),
        };
        let found = measured(&state, caller.user(), TradingId(id.0), wanted).await?;

        let quote = found.as_ref().map(|found| found.quote.to_string());
        Ok(Reply::read(match found {
            Some(found) => Equity::new(id.0, quote, interval, found.points, &found.performance),
            None => Equity::new(
                id.0,
                quote,
                interval,
                Vec::new(),
                &performance::Performance::default(),
            ),
        }))
    }
}
