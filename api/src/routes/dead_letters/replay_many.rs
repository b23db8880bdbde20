//! `POST /v1/events/dead-letters/replay`

use super::effect::BulkReplayed;
use super::selection::ReplayMany;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_store::audit::{self, Action};
use tiris_store::dead_letters::{Actor, ReplayOptions, rehearse_all, replay_some};

/// Tries of one request: each is a transaction, and all of them must fit the time a request may take.
const TRIED_AT_ONCE: u32 = 200;
/// Letters a dry run looks at, in one transaction.
const REHEARSED_AT_ONCE: u32 = 100;

/// Replay many dead letters.
pub(crate) struct ReplayDeadLetters;

impl Policy for ReplayDeadLetters {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, TOO_LARGE, NO_JSON];
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
impl ReplayDeadLetters {
    /// Try many letters again (admins), in stream order; at most 200 a request, with `cursor` to go on
    ///
    /// Each letter is a transaction of its own, and one that is replayed is open no more: a request that was cut off can
    /// be repeated, with the same `Idempotency-Key` too.
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

        // First, because each letter is a transaction of its own and some may be done when the rest fails.
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
        // The letters were committed one by one.
        state.streams.wakes.publish_committed(user);
        let replayed = BulkReplayed::new(replayed, false);
        Ok(idempotency.store(&state, user, replayed).await?)
    }
}
