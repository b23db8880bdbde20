//! `POST /v1/events/dead-letters/discard`

use super::selection::DiscardMany;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_store::audit::{self, Action};
use tiris_store::dead_letters::{self, Actor};

/// Letters discarded by one request, in one transaction.
const DISCARDED_AT_ONCE: u32 = 500;

/// Discard many dead letters.
pub(crate) struct DiscardDeadLetters;

impl Policy for DiscardDeadLetters {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, TOO_LARGE, NO_JSON];
}

/// What was given up.
#[derive(Object, Serialize)]
struct Discarded {
    /// Letters discarded by this request
    discarded: u64,
    /// Open letters the filter still selects: ask again until it is 0
    left: u64,
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl DiscardDeadLetters {
    /// Give many letters up for good (admins); at most 500 a request
    #[oai(
        path = "/discard",
        method = "post",
        operation_id = "discardDeadLetters"
    )]
    async fn discard_many(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<DiscardMany>,
    ) -> Answer<Discarded, Self> {
        let filter = body.0.filter.filter()?;
        let reason = body.0.reason.0.as_str();
        let by = Actor::Admin(caller.user());

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            let discarded =
                dead_letters::discard_all(&mut tx, &filter, reason, &by, DISCARDED_AT_ONCE).await?;
            let left = dead_letters::count_open(&mut tx, &filter).await?;

            let after = json!({
                "filter": body.0.filter.as_json(),
                "reason": reason,
                "discarded": discarded,
            });
            let action = Action {
                name: "dead_letters.discard",
                resource: "dead_letter",
                id: None,
                before: None,
                after: Some(after),
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Discarded { discarded, left }).await
        });
        Ok(reply.await?)
    }
}
