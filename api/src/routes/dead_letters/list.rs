//! `GET /v1/events/dead-letters`

use super::object::{DeadLetter, DeadLetterPage};
use super::visible;
use crate::http::filter::{equal, equal_text, range};
use crate::http::page::Page;
use crate::routes::prelude::*;
use sea_orm::{EntityTrait, QueryFilter};
use tiris_domain::states::{DeadLetterClass, DeadLetterStatus};
use tiris_store::entity::dead_letters::{Column, Entity, Model};

/// The order of lists: time and id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

/// List dead letters.
pub(crate) struct ListDeadLetters;

impl Policy for ListDeadLetters {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID_FILTER];
}

#[OpenApi(prefix_path = "/v1/events/dead-letters", tag = "Tag::Events")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListDeadLetters {
    /// Dead letters, newest first: the caller's own, for admins all
    #[oai(path = "/", method = "get", operation_id = "listDeadLetters")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only those with this status
        status: Query<Option<Field<DeadLetterStatus>>>,
        /// Only those of this class
        class: Query<Option<Field<DeadLetterClass>>>,
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
    ) -> Answer<DeadLetterPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), offset.0, include_total.0)?;
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
        let (rows, pagination) = page
            .read(state.histories.lists(), rows, ORDER, |row: &Model| {
                (row.created_at, row.id)
            })
            .await?;

        let dead_letters = rows
            .into_iter()
            .map(|row| DeadLetter::of_list(row, caller.is_admin()));
        Ok(Reply::read(DeadLetterPage {
            dead_letters: dead_letters.collect::<Result<_>>()?,
            pagination,
        }))
    }
}
