//! `POST /v1/events/dead-letters/{id}/discard`

use super::NOT_OPEN;
use super::selection::DiscardOne;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_store::audit::{self, Action};
use tiris_store::dead_letters::{self, Actor};

/// Discard a dead letter.
pub(crate) struct DiscardDeadLetter;

impl Policy for DiscardDeadLetter {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, NOT_FOUND, NOT_OPEN, TOO_LARGE, NO_JSON];
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl DiscardDeadLetter {
    /// Give a letter up for good (admins): its event counts as done and changes nothing
    #[oai(
        path = "/:id/discard",
        method = "post",
        operation_id = "discardDeadLetter"
    )]
    async fn discard(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<DiscardOne>,
    ) -> Answer<Message, Self> {
        let reason = body.0.reason.0.as_str();
        let by = Actor::Admin(caller.user());

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            dead_letters::discard(&mut tx, id.0, reason, &by).await?;

            let action = Action {
                name: "dead_letter.discard",
                resource: "dead_letter",
                id: Some(id.0.to_string()),
                before: None,
                after: Some(json!({"reason": reason})),
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(Message::new("The dead letter is discarded."))
                .await
        });
        Ok(reply.await?)
    }
}
