//! `POST /v1/events/dead-letters/{id}/replay`

use super::NOT_OPEN;
use super::effect::ReplayEffect;
use super::selection::ReplayOne;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_store::audit::{self, Action};
use tiris_store::dead_letters::{self, Actor, ReplayOptions};

/// Replay a dead letter.
pub(crate) struct ReplayDeadLetter;

impl Policy for ReplayDeadLetter {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, NOT_FOUND, NOT_OPEN, TOO_LARGE, NO_JSON];
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl ReplayDeadLetter {
    /// Try a letter again (admins): with `dry_run` say what would happen to which balance, and do nothing
    #[oai(
        path = "/:id/replay",
        method = "post",
        operation_id = "replayDeadLetter"
    )]
    async fn replay(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
        idempotency: Idempotency,
        body: JsonBody<ReplayOne>,
    ) -> Answer<ReplayEffect, Self> {
        let options = ReplayOptions {
            round: body.0.round == Some(true),
            dry_run: body.0.dry_run == Some(true),
            by: Actor::Admin(caller.user()),
        };
        if options.dry_run {
            let mut transaction = state.pool.begin().await.map_err(Error::from)?;
            let replay =
                dead_letters::replay(&mut transaction, id.0, &options, rand::random()).await?;
            transaction.rollback().await.map_err(Error::from)?;
            return Ok(Reply::done(ReplayEffect::new(replay, true)));
        }

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            // Before the replay, which ends with the check of its time.
            let action = Action {
                name: "dead_letter.replay",
                resource: "dead_letter",
                id: Some(id.0.to_string()),
                before: None,
                after: Some(json!({"round": options.round})),
            };
            audit::record(&mut tx, caller.actor(), &action).await?;

            let replay = dead_letters::replay(&mut tx, id.0, &options, rand::random()).await?;
            tx.finish(ReplayEffect::new(replay, false)).await
        });
        Ok(reply.await?)
    }
}
