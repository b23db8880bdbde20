//! `POST /v1/events/replay`

use super::object::ReplayJob;
use crate::routes::prelude::*;
use tiris_domain::event::Kind;
use tiris_store::replay_jobs::{self, NewJob};

operation!(ReplayEvents: Admin, General, [INVALID_BODY]);

/// A time range of the event streams to process again.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
// Ignoring an unknown condition would select more than intended.
#[serde(deny_unknown_fields)]
struct NewReplay {
    /// Start of the range by the broker's clock, RFC 3339, inclusive
    start_time: Field<Moment>,
    /// End of the range by the broker's clock, RFC 3339, exclusive
    end_time: Field<Moment>,
    /// Only events of this user
    user_id: Option<Field<UserId>>,
    /// Only events of these types, such as `trading.orders.filled`; by default all
    #[oai(validator(min_items = 1, max_items = 10))]
    event_types: Option<Vec<String>>,
}

impl Example for NewReplay {
    fn example() -> Self {
        let day = |number| Field(Moment::midnight(number));
        Self {
            start_time: day(20_454),
            end_time: day(20_455),
            user_id: None,
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

#[OpenApi(prefix_path = "/v1/events/replay", tag = "Tag::AdminReplays")]
impl ReplayEvents {
    /// Start a replay of a time range
    ///
    /// Admins only. Processes the stored messages of a time range again: missing events and dead letters are applied,
    /// events that were applied before are skipped. The replay runs in the background and starts within seconds; poll
    /// `GET /v1/events/replay/{id}`. It continues after restarts.
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
                after: Some(after),
                ..action(ActionName::EventsReplay, "replay", job.id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(ReplayJob::try_from(job)?).await
        });
        Ok(reply.await?)
    }
}
