//! `POST /v1/events/replay`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use serde_json::json;
use tiris_domain::event::Kind;
use tiris_domain::ids::UserId;
use tiris_domain::value::Moment;
use tiris_store::audit::{self, Action};
use tiris_store::replay_jobs::{self, NewJob};

/// Replay a range of time.
pub(crate) struct ReplayEvents;

impl Policy for ReplayEvents {
    const ACCESS: Access = Access::Admin;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_BODY, TOO_LARGE, NO_JSON];
}

/// A range of time to be read again: what is missing or dead is applied, what is done is passed over.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
// A condition that is ignored would select more than was meant.
#[serde(deny_unknown_fields)]
struct NewReplay {
    /// Messages the broker took at this moment or later
    start_time: Field<Moment>,
    /// Messages the broker took before this moment
    end_time: Field<Moment>,
    /// Only this user's events
    user_id: Option<Field<UserId>>,
    /// Only events of these types, such as `trading.orders.filled`
    #[oai(validator(min_items = 1, max_items = 10))]
    event_types: Option<Vec<String>>,
}

impl Example for NewReplay {
    fn example() -> Self {
        let day = |number| Field(Moment::midnight(number));
        Self {
            start_time: day(20_454),
            end_time: day(20_455),
            user_id: Some(Field(UserId(EXAMPLE_ID))),
            event_types: Some(vec![Kind::OrderFilled.bare_subject().to_owned()]),
        }
    }
}

fn kinds(types: &[String]) -> Result<Vec<Kind>> {
    let most = Kind::ALL.len();
    if types.len() > most {
        let why = format!(
            "must be a list of at most {most} strings (given: {})",
            types.len()
        );
        return Err(Error::invalid("event_types", why));
    }

    let known = || Kind::ALL.map(Kind::bare_subject).join(", ");
    let kind = |name: &String| {
        let shown: String = name.chars().take(60).collect();
        let unknown = || {
            Error::invalid(
                "event_types",
                format!("must be of {} (given: {shown:?})", known()),
            )
        };
        Kind::of_bare_subject(name).ok_or_else(unknown)
    };
    types.iter().map(kind).collect()
}

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::Events")]
impl ReplayEvents {
    /// Read a range of time again (admins); ingest begins within seconds, and it survives whatever dies
    #[oai(path = "/", method = "post", operation_id = "replayEvents")]
    async fn create(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        idempotency: Idempotency,
        body: JsonBody<NewReplay>,
    ) -> Made<ReplayJob, Self> {
        let wanted = body.0;
        let new = NewJob {
            requested_by: Some(caller.user()),
            start_time: wanted.start_time.0.time(),
            end_time: wanted.end_time.0.time(),
            user: wanted.user_id.map(|id| id.0),
            kinds: wanted.event_types.as_deref().map(kinds).transpose()?,
        };

        let reply = idempotency.run(&state, caller.user(), async |mut tx: Tx| {
            let job = replay_jobs::create(&mut tx, &new).await?;

            let after = json!({
                "start_time": job.start_time,
                "end_time": job.end_time,
                "user_id": job.user_id,
                "event_types": job.event_types,
            });
            let action = Action {
                name: "events.replay",
                resource: "replay",
                id: Some(job.id.to_string()),
                before: None,
                after: Some(after),
            };
            audit::record(&mut tx, caller.actor(), &action).await?;
            tx.finish(ReplayJob::try_from(job)?).await
        });
        Ok(reply.await?)
    }
}
