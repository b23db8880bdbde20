//! Dead letters: events that could not be applied. Users read their own; admins replay and discard.

use super::effect::{BulkReplayed, ReplayEffect};
use super::letter::{DeadLetter, DeadLetterPage, LetterClass, LetterStatus};
use super::selection::{DiscardMany, DiscardOne, ReplayMany, ReplayOne};
use crate::auth::{Admin, Caller};
use crate::body::JsonBody;
use crate::envelope::{Answer, Reply};
use crate::filter::{equal, equal_text, range};
use crate::ledger::Work;
use crate::once::Once;
use crate::page::Page;
use crate::resource::refusals::{AdminMany, AdminOne, Filtered, One};
use crate::resource::{Message, Tag};
use crate::state::State;
use chrono::{DateTime, Utc};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::types::ToJSON;
use poem_openapi::{Object, OpenApi};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tiris_store::audit::{self, Action};
use tiris_store::dead_letters::{
    self, Actor, Filter, Replay, ReplayOptions, count_open, rehearse_all, replay_some,
};
use tiris_store::entity::dead_letters::{Column, Entity, Model};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Operations on dead letters.
pub(crate) struct DeadLetters;

const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);
/// Tries of one request: each is a transaction, and all of them must fit the time a request may take.
const TRIED_AT_ONCE: u32 = 200;
/// Letters a dry run of many looks at, in one transaction.
const REHEARSED_AT_ONCE: u32 = 100;
/// Letters discarded by one request, in one transaction.
const DISCARDED_AT_ONCE: u32 = 500;

/// What was given up.
#[derive(Object, Serialize)]
struct Discarded {
    /// Letters discarded by this request
    discarded: u64,
    /// Open letters the filter still selects: ask again until it is 0
    left: u64,
}

/// What the caller may see.
fn visible(caller: &Caller) -> Condition {
    if caller.is_admin() {
        Condition::all()
    } else {
        Condition::all().add(Column::UserId.eq(caller.user().0))
    }
}

/// Both columns are text.
fn name_of(choice: Option<&impl ToJSON>) -> Option<String> {
    match choice?.to_json() {
        Some(Value::String(name)) => Some(name),
        _ => None,
    }
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl DeadLetters {
    /// Dead letters, newest first: the caller's own, for admins all
    #[oai(path = "/", method = "get", operation_id = "listDeadLetters")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// Only those with this status
        status: Query<Option<LetterStatus>>,
        /// Only those of this class
        class: Query<Option<LetterClass>>,
        /// Only those with this code
        code: Query<Option<String>>,
        /// Only those that concern this user
        user_id: Query<Option<Uuid>>,
        /// Only those that concern this trading
        trading_id: Query<Option<Uuid>>,
        /// Put aside from this moment on, inclusive
        start_date: Query<Option<DateTime<Utc>>>,
        /// Put aside until this moment, exclusive
        end_date: Query<Option<DateTime<Utc>>>,
        /// Letters of the page, 1 to 1000, by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the page before; stable while new letters come in
        cursor: Query<Option<String>>,
        /// Letters to skip, at most 100000; excludes `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count the whole list
        include_total: Query<Option<bool>>,
    ) -> Answer<DeadLetterPage, Filtered> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let rows = Entity::find()
            .filter(visible(&caller))
            .filter(equal(Column::Status, name_of(status.0.as_ref())))
            .filter(equal(Column::Class, name_of(class.0.as_ref())))
            .filter(equal_text(Column::Code, "code", code.0)?)
            .filter(equal(Column::UserId, user_id.0))
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(range(
                Column::CreatedAt,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?);
        let (rows, pagination) = page
            .read(&state.db, rows, ORDER, |row: &Model| {
                (row.created_at, row.id)
            })
            .await?;
        let dead_letters = rows
            .into_iter()
            .map(|row| DeadLetter::of_list(row, caller.is_admin()));
        let dead_letters = dead_letters.collect::<Result<_>>()?;
        Ok(Reply::new(DeadLetterPage {
            dead_letters,
            pagination,
        }))
    }

    /// One dead letter
    #[oai(path = "/:id", method = "get", operation_id = "getDeadLetter")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
    ) -> Answer<DeadLetter, One> {
        let row = Entity::find_by_id(id.0)
            .filter(visible(&caller))
            .one(&state.db)
            .await;
        let row = row
            .map_err(Error::from)?
            .ok_or(Error::NotFound("dead letter"))?;
        Ok(Reply::new(DeadLetter::from_row(row, caller.is_admin())?))
    }

    /// Try a letter again (admins): with `dry_run` say what would happen to which balance, and do nothing
    #[oai(
        path = "/:id/replay",
        method = "post",
        operation_id = "replayDeadLetter"
    )]
    async fn replay(
        &self,
        admin: Admin,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
        once: Once,
        body: JsonBody<ReplayOne>,
    ) -> Answer<ReplayEffect, AdminOne> {
        let dry_run = body.0.dry_run == Some(true);
        let work = ReplayWork {
            admin: &admin,
            id: id.0,
            options: options(&admin, dry_run, body.0.round),
        };
        if dry_run {
            let mut transaction = state.pool.begin().await.map_err(Error::from)?;
            let rehearsed = work.replay(&mut transaction).await?;
            transaction.rollback().await.map_err(Error::from)?;
            return Ok(Reply::new(ReplayEffect::new(rehearsed, true)));
        }
        Ok(once.commit(&state, admin.user(), &work).await?)
    }

    /// Give a letter up for good (admins): its event counts as done and changes nothing
    #[oai(
        path = "/:id/discard",
        method = "post",
        operation_id = "discardDeadLetter"
    )]
    async fn discard(
        &self,
        admin: Admin,
        state: Data<&State>,
        /// The letter
        id: Path<Uuid>,
        once: Once,
        body: JsonBody<DiscardOne>,
    ) -> Answer<Message, AdminOne> {
        let work = DiscardWork {
            admin: &admin,
            id: id.0,
            reason: &body.0.reason,
        };
        Ok(once.commit(&state, admin.user(), &work).await?)
    }

    /// Try many letters again (admins), in stream order; at most 200 a request, with `cursor` to go on
    ///
    /// Each letter is a transaction of its own, and one that is replayed is open no more: a request that was cut off can
    /// be repeated, with the same `Idempotency-Key` too.
    #[oai(path = "/replay", method = "post", operation_id = "replayDeadLetters")]
    async fn replay_many(
        &self,
        admin: Admin,
        state: Data<&State>,
        once: Once,
        body: JsonBody<ReplayMany>,
    ) -> Answer<BulkReplayed, AdminMany> {
        let dry_run = body.0.dry_run == Some(true);
        let (filter, options) = (
            body.0.filter.filter()?,
            options(&admin, dry_run, body.0.round),
        );
        if dry_run {
            let summary = rehearse_all(
                &state.pool,
                &filter,
                &options,
                body.0.cursor,
                REHEARSED_AT_ONCE,
            )
            .await?;
            return Ok(Reply::new(BulkReplayed::new(summary, true)));
        }
        if let Some(reply) = once.before(&state, admin.user()).await? {
            return Ok(reply);
        }
        // Before it, because each letter is a transaction of its own and some of them may be done when the rest fails.
        let after = json!({"filter": body.0.filter.as_json(), "round": options.round});
        tell(&admin, &state, "dead_letters.replay", after).await?;
        let summary =
            replay_some(&state.pool, &filter, &options, body.0.cursor, TRIED_AT_ONCE).await?;
        Ok(once
            .keep(&state, admin.user(), BulkReplayed::new(summary, false))
            .await?)
    }

    /// Give many letters up for good (admins); at most 500 a request
    #[oai(
        path = "/discard",
        method = "post",
        operation_id = "discardDeadLetters"
    )]
    async fn discard_many(
        &self,
        admin: Admin,
        state: Data<&State>,
        once: Once,
        body: JsonBody<DiscardMany>,
    ) -> Answer<Discarded, AdminMany> {
        let filter = body.0.filter.filter()?;
        let work = DiscardManyWork {
            admin: &admin,
            filter: &filter,
            asked: &body.0,
        };
        Ok(once.commit(&state, admin.user(), &work).await?)
    }
}

fn options(admin: &Admin, dry_run: bool, round: Option<bool>) -> ReplayOptions {
    ReplayOptions {
        round: round == Some(true),
        dry_run,
        by: Actor::Admin(admin.user()),
    }
}

async fn record(
    connection: &mut PgConnection,
    admin: &Admin,
    name: &str,
    id: Option<Uuid>,
    after: Value,
) -> Result<()> {
    let id = id.map(|id| id.to_string());
    let action = Action {
        name,
        resource: "dead_letter",
        id,
        before: None,
        after: Some(after),
    };
    audit::record(connection, admin.actor(), &action).await
}

async fn tell(admin: &Admin, state: &State, name: &str, after: Value) -> Result<()> {
    let mut connection = state.pool.acquire().await?;
    record(&mut connection, admin, name, None, after).await
}

struct ReplayWork<'a> {
    admin: &'a Admin,
    id: Uuid,
    options: ReplayOptions,
}

impl ReplayWork<'_> {
    async fn replay(&self, connection: &mut PgConnection) -> Result<Replay> {
        dead_letters::replay(connection, self.id, &self.options, rand::random()).await
    }
}

impl Work for ReplayWork<'_> {
    type Output = ReplayEffect;

    async fn run(&self, connection: &mut PgConnection) -> Result<ReplayEffect> {
        // The row first: the replay ends with the check of its time.
        let after = json!({"round": self.options.round});
        record(
            connection,
            self.admin,
            "dead_letter.replay",
            Some(self.id),
            after,
        )
        .await?;
        Ok(ReplayEffect::new(self.replay(connection).await?, false))
    }
}

struct DiscardWork<'a> {
    admin: &'a Admin,
    id: Uuid,
    reason: &'a str,
}

impl Work for DiscardWork<'_> {
    type Output = Message;

    async fn run(&self, connection: &mut PgConnection) -> Result<Message> {
        dead_letters::discard(
            connection,
            self.id,
            self.reason,
            &Actor::Admin(self.admin.user()),
        )
        .await?;
        let after = json!({"reason": self.reason});
        record(
            connection,
            self.admin,
            "dead_letter.discard",
            Some(self.id),
            after,
        )
        .await?;
        Ok(Message::new("The dead letter is discarded."))
    }
}

struct DiscardManyWork<'a> {
    admin: &'a Admin,
    filter: &'a Filter,
    asked: &'a DiscardMany,
}

impl Work for DiscardManyWork<'_> {
    type Output = Discarded;

    async fn run(&self, connection: &mut PgConnection) -> Result<Discarded> {
        let DiscardMany { filter, reason } = self.asked;
        let by = Actor::Admin(self.admin.user());
        let discarded =
            dead_letters::discard_all(connection, self.filter, reason, &by, DISCARDED_AT_ONCE)
                .await?;
        let left = count_open(connection, self.filter).await?;
        let after = json!({"filter": filter.as_json(), "reason": reason, "discarded": discarded});
        record(connection, self.admin, "dead_letters.discard", None, after).await?;
        Ok(Discarded { discarded, left })
    }
}
