//! `POST /v1/events/dead-letters/{id}/replay` and `POST /v1/events/dead-letters/replay`

use super::effect::{BulkReplayed, ReplayEffect};
use super::selection::{ReplayMany, ReplayOne};
use super::{actor, restricted};
use crate::routes::prelude::*;
use tiris_store::dead_letters::{self, ReplayOptions, rehearse_all, rehearse_one, replay_some};

/// Attempts of one request: each is a transaction, and together they must fit the time limit of a request.
const TRIED_AT_ONCE: u32 = 200;
/// Dead letters that one dry run tries, in one transaction that locks what they change.
const REHEARSED_AT_ONCE: u32 = 20;

operation!(ReplayDeadLetter: User, General, [
    INVALID_BODY,
    (
        403,
        "`ACCESS_DENIED`: `accept_user` is given and the caller is not an admin; `ACCOUNT_DISABLED`: the account of the \
         caller is disabled",
    ),
    NOT_FOUND,
    (
        409,
        "`LETTER_NOT_OPEN`: the dead letter was replayed or discarded before; `ACCEPT_USER_REQUIRED`: its payload names \
         another user than its subject, and an admin must accept that as `accept_user`",
    ),
]);

operation!(ReplayDeadLetters: User, General, [
    INVALID_BODY,
    (
        429,
        "`RATE_LIMITED`: the caller has 2 replays of many dead letters in progress, or the allowance `general` of the \
         caller is used up; `Retry-After` gives the seconds to wait",
    ),
]);

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl ReplayDeadLetter {
    /// Replay a dead letter
    ///
    /// Applies the event again, for example after the missing sub-account was created. A refusal is not an error: the
    /// response has `applied` false with `code` and `reason`, and the dead letter stays open. With `dry_run` nothing is
    /// stored and the response shows whose balances would change, and who published the event. Users replay their own dead
    /// letters, admins all.
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
            accept_user: body.0.accept_user.map(|user| user.0.0),
            by: actor(&caller),
            recorded_as: None,
        };
        if options.accept_user.is_some() && !caller.is_admin() {
            return Err(Error::AccessDenied("only an admin accepts another user's event").into());
        }
        if body.0.dry_run == Some(true) {
            let replay = rehearse_one(&state.pool, id.0, &options).await?;
            return Ok(Reply::done(ReplayEffect::new(replay, true)));
        }

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            let replay = dead_letters::replay(&mut tx, id.0, &options, rand::random()).await?;
            tx.add_drift(&replay.drift);

            let action = replay.action(&options);
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(ReplayEffect::new(replay, false)).await
        });
        Ok(reply.await?)
    }
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl ReplayDeadLetters {
    /// Replay all dead letters that match a filter
    ///
    /// Tries at most 200 dead letters in stream order (a dry run: 20); continue with `next_cursor`. Each one is a
    /// transaction of its own, so an interrupted request can be repeated, also with the same `Idempotency-Key`. Selects
    /// only the caller's own dead letters, for admins all. Those whose payload names another user than their subject are
    /// skipped and counted.
    #[oai(path = "/replay", method = "post", operation_id = "replayDeadLetters")]
    async fn replay_many(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<ReplayMany>,
    ) -> Answer<BulkReplayed, Self> {
        let user = caller.user();
        let filter = restricted(body.0.filter.filter()?, &caller);
        let cursor = body.0.cursor.map(|id| id.0.0);
        let options = ReplayOptions {
            accept_user: None,
            by: actor(&caller),
            recorded_as: Some(caller.actor().clone()),
        };
        if body.0.dry_run == Some(true) {
            let _place = state.streams.replays.take(user)?;
            let rehearsed =
                rehearse_all(&state.pool, &filter, &options, cursor, REHEARSED_AT_ONCE).await?;
            return Ok(Reply::done(BulkReplayed::new(rehearsed, true)));
        }
        if let Some(reply) = idempotency.stored(&state, user).await? {
            return Ok(reply);
        }
        let _place = state.streams.replays.take(user)?;

        // Recorded first, because some dead letters may be replayed when a later one fails.
        let action = Action {
            name: ActionName::DeadLettersReplay,
            resource: "dead_letter",
            id: None,
            before: None,
            after: Some(json!({"filter": body.0.filter.as_json()})),
        };
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let recorded = audit::record(&mut connection, caller.actor(), &action).await?;
        recorded.log();
        drop(connection);

        let replayed = replay_some(&state.pool, &filter, &options, cursor, TRIED_AT_ONCE).await?;
        // Each dead letter was committed on its own, without a wake-up.
        state.streams.wakes.publish_committed(user);
        let replayed = BulkReplayed::new(replayed, false);
        Ok(idempotency.store(&state, user, replayed).await?)
    }
}
