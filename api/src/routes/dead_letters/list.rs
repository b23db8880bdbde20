//! `GET /v1/events/dead-letters`

use super::object::DeadLetter;
use super::visible;
use crate::routes::prelude::*;
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use tiris_store::entity::dead_letters::{Column, Entity, Model};

/// The order of lists: by time, then by id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

operation!(ListDeadLetters: User, General, [INVALID_FILTER]);

/// A page of dead letters.
#[derive(Object, Serialize)]
struct DeadLetterPage {
    /// Dead letters, newest first
    dead_letters: Listed<DeadLetter>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListDeadLetters {
    /// List dead letters
    ///
    /// Dead letters are events that could not be applied. Returns a page of the caller's dead letters (for admins: of all
    /// users), newest first. Payloads over 8 KiB are left out; get a dead letter by its id for the whole payload.
    #[oai(path = "/", method = "get", operation_id = "listDeadLetters")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only dead letters with this status: `open`, `replayed` or `discarded`
        status: Query<Option<Field<DeadLetterStatus>>>,
        /// Only dead letters of this class: `malformed`, `unresolved` or `rejected`
        class: Query<Option<Field<DeadLetterClass>>>,
        /// Only dead letters with this code, such as `INSUFFICIENT_BALANCE`; at most 128 characters
        code: Query<Option<String>>,
        /// Only dead letters of events that this user published
        user_id: Query<Option<Uuid>>,
        /// Only dead letters of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only dead letters created at or after this moment, RFC 3339
        start_date: Query<Option<QueryTime>>,
        /// Only dead letters created before this moment, RFC 3339
        end_date: Query<Option<QueryTime>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,code`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
        /// Rows to skip, at most 100000; cannot be combined with `cursor`
        offset: Query<Option<u64>>,
        /// Whether to count all matching rows, which reads them all; by default false
        include_total: Query<Option<bool>>,
    ) -> Answer<DeadLetterPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
        let chosen = Chosen::of::<DeadLetter>(fields.0.as_deref())?;
        let rows = Entity::find()
            .filter(visible(&caller))
            .filter(equal(
                Column::Status,
                status.0.map(|status| status.0.as_str()),
            ))
            .filter(equal(Column::Class, class.0.map(|class| class.0.as_str())))
            .filter(equal_text(Column::Code, "code", code.0)?)
            .filter(equal(Column::UserId, user_id.0))
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(range(
                Column::CreatedAt,
                ("start_date", start_date.0),
                ("end_date", end_date.0),
            )?);
        if caller.is_admin() && user_id.0 != Some(caller.user().0) {
            caller.record_read(&state).await?;
        }
        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };

        let is_admin = caller.is_admin();
        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, state.histories.lists(), list, |row| {
                chosen.serialize(&DeadLetter::of_list(row, is_admin)?)
            })
            .await?;
        let data = DeadLetterPage {
            dead_letters: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
