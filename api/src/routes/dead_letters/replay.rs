//! `POST /v1/events/dead-letters/{id}/replay` and `POST /v1/events/dead-letters/replay`

use super::NOT_OPEN;
use super::effect::{BulkReplayed, ReplayEffect};
use super::selection::{ReplayMany, ReplayOne};
use crate::routes::prelude::*;
use tiris_store::dead_letters::{self, Actor, ReplayOptions, rehearse_all, replay_some};

/// Attempts of one request: each is a transaction, and together they must fit the time limit of a request.
const TRIED_AT_ONCE: u32 = 200;
/// Dead letters that one dry run tries, in one transaction.
const REHEARSED_AT_ONCE: u32 = 100;

operation!(ReplayDeadLetter: Admin, General, [INVALID_BODY, NOT_FOUND, NOT_OPEN]);

operation!(ReplayDeadLetters: Admin, General, [INVALID_BODY]);

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::AdminDeadLetters")]
impl ReplayDeadLetter {
    /// Replay a dead letter
    ///
    /// Admins only. Applies the event again, for example after the missing sub-account was created. A refusal is not an
    /// error: the response has `applied` false with `code` and `reason`, and the dead letter stays open. With `dry_run`
    /// nothing is stored and the response shows the balances that would change.
    #[oai(
        path = "/:id/replay",
        method = "post",
        operation_id = "replayDeadLetter"
    )]
    async fn replay(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the dead letter, from `GET /v1/events/dead-letters`
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
                after: Some(json!({"round": options.round})),
                ..action("dead_letter.replay", "dead_letter", id.0)
            };
            audit::record(&mut tx, caller.actor(), &action).await?;

            let replay = dead_letters::replay(&mut tx, id.0, &options, rand::random()).await?;
            tx.finish(ReplayEffect::new(replay, false)).await
        });
        Ok(reply.await?)
    }
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::AdminDeadLetters")]
impl ReplayDeadLetters {
    /// Replay all dead letters that match a filter
    ///
    /// Admins only. Tries at most 200 dead letters in stream order (a dry run: 100); continue with `next_cursor`. Each
    /// one is a transaction of its own, so an interrupted request can be repeated, also with the same `Idempotency-Key`.
    #[oai(path = "/replay", method = "post", operation_id = "replayDeadLetters")]
    async fn replay_many(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<ReplayMany>,
    ) -> Answer<BulkReplayed, Self> {
        let user = caller.user();
        let filter = body.0.filter.filter()?;
        let cursor = body.0.cursor;
        let options = ReplayOptions {
            round: body.0.round == Some(true),
            dry_run: body.0.dry_run == Some(true),
            by: Actor::Admin(user),
        };
        if options.dry_run {
            let rehearsed =
                rehearse_all(&state.pool, &filter, &options, cursor, REHEARSED_AT_ONCE).await?;
            return Ok(Reply::done(BulkReplayed::new(rehearsed, true)));
        }
        if let Some(reply) = idempotency.stored(&state, user).await? {
            return Ok(reply);
        }

        // Recorded first, because some dead letters may be replayed when a later one fails.
        let action = Action {
            name: "dead_letters.replay",
            resource: "dead_letter",
            id: None,
            before: None,
            after: Some(json!({"filter": body.0.filter.as_json(), "round": options.round})),
        };
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        audit::record(&mut connection, caller.actor(), &action).await?;
        drop(connection);

        let replayed = replay_some(&state.pool, &filter, &options, cursor, TRIED_AT_ONCE).await?;
        // Each dead letter was committed on its own, without a wake-up.
        state.streams.wakes.publish_committed(user);
        let replayed = BulkReplayed::new(replayed, false);
        Ok(idempotency.store(&state, user, replayed).await?)
    }
}
