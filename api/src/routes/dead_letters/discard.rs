//! `POST /v1/events/dead-letters/{id}/discard` and `POST /v1/events/dead-letters/discard`

use super::selection::{DiscardMany, DiscardOne};
use super::{NOT_OPEN, actor, restricted};
use crate::routes::prelude::*;
use tiris_store::dead_letters;

/// Dead letters that one request discards, in one transaction.
const DISCARDED_AT_ONCE: u32 = 500;

operation!(DiscardDeadLetter: User, General, [INVALID_BODY, NOT_FOUND, NOT_OPEN]);

operation!(DiscardDeadLetters: User, General, [INVALID_BODY]);

/// The outcome of discarding many dead letters.
#[derive(Object, Serialize)]
struct Discarded {
    /// Dead letters this request has discarded
    discarded: u64,
    /// Open dead letters that still match the filter; repeat the request until it is 0
    left: u64,
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl DiscardDeadLetter {
    /// Discard a dead letter
    ///
    /// Gives the event up for good: it counts as processed and changes nothing. A discarded dead letter cannot be
    /// replayed; the reason is stored with it. Users discard their own dead letters, admins all.
    #[oai(
        path = "/:id/discard",
        method = "post",
        operation_id = "discardDeadLetter"
    )]
    async fn discard(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the dead letter, from `GET /v1/events/dead-letters`
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<DiscardOne>,
    ) -> Answer<Message, Self> {
        let reason = body.0.reason.0.as_str();
        let by = actor(&caller);

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            dead_letters::discard(&mut tx, id.0, reason, &by).await?;

            let action = Action {
                after: Some(json!({"reason": reason})),
                ..action(ActionName::DeadLetterDiscard, "dead_letter", id.0)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Message::new("The dead letter is discarded."))
                .await
        });
        Ok(reply.await?)
    }
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl DiscardDeadLetters {
    /// Discard all dead letters that match a filter
    ///
    /// Discards at most 500 dead letters in one transaction; repeat the request while `left` is above 0. Selects only the
    /// caller's own dead letters, for admins all.
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
        let filter = restricted(body.0.filter.filter()?, &caller);
        let reason = body.0.reason.0.as_str();
        let by = actor(&caller);

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            let discarded =
                dead_letters::discard_all(&mut tx, &filter, reason, &by, DISCARDED_AT_ONCE).await?;
            let left = dead_letters::count_open(&mut tx, &filter).await?;

            let action = Action {
                name: ActionName::DeadLettersDiscard,
                resource: "dead_letter",
                id: None,
                before: None,
                after: Some(json!({
                    "filter": body.0.filter.as_json(),
                    "reason": reason,
                    "discarded": discarded,
                })),
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(Discarded { discarded, left }).await
        });
        Ok(reply.await?)
    }
}
