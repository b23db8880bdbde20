//! `GET /v1/tradings/{id}/performance`

use super::measure::{Wanted, measured};
use super::object::Performance;
use crate::routes::prelude::*;
use tiris_domain::ids::TradingId;

/// Get the performance of a trading.
pub(crate) struct GetPerformance;

impl Policy for GetPerformance {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

#[OpenApi(prefix_path = "/v1/tradings", tag = "Tag::Tradings")]
impl GetPerformance {
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
        caller: Caller<Self>,
        state: Data<&State>,
        /// The trading
        id: Path<Uuid>,
        /// From this moment on; what was before counts as the state it begins with. By default the first transaction
        from: Query<Option<DateTime<Utc>>>,
        /// Until this moment, exclusive; by default the last transaction
        to: Query<Option<DateTime<Utc>>>,
        /// Symbol of the asset figures are in; by default the one most of the trades were paid in
        quote: Query<Option<String>>,
    ) -> Answer<Performance, Self> {
        let wanted = Wanted {
            from: from.0,
            to: to.0,
            quote: quote.0,
            interval: None,
        };
        let found = measured(&state, caller.user(), TradingId(id.0), wanted).await?;

        let quote = found.as_ref().map(|found| found.quote.to_string());
        let found = found.map(|found| found.performance);
        let found = found.unwrap_or_default();
        Ok(Reply::read(Performance::new(id.0, quote, found)))
    }
}
