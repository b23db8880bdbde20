//! `GET /v1/sessions`

use crate::routes::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait};
use tiris_store::entity::sessions::{Column, Entity, Model};

operation!(ListSessions: User, General, [INVALID]);

const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

/// A signed-in device or program.
#[derive(Object, Serialize)]
struct Session {
    /// Id of the session
    id: Uuid,
    /// Whether the access token of this request belongs to it
    current: bool,
    /// When the user signed in
    created_at: DateTime<Utc>,
    /// When it was last used, at most a minute old; null if it was last used before this was stored
    #[oai(nullable)]
    last_used_at: Option<DateTime<Utc>>,
    /// When it ends by itself
    expires_at: DateTime<Utc>,
    /// User agent that the client reported when the user signed in
    #[oai(nullable)]
    user_agent: Option<String>,
    /// Address that the user signed in from
    #[oai(nullable)]
    ip: Option<String>,
    /// Whether its refresh tokens are each used once
    rotates: bool,
}

impl Session {
    fn new(row: Model, current: Uuid) -> Self {
        Self {
            id: row.id,
            current: row.id == current,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            user_agent: row.user_agent,
            ip: row.ip,
            rotates: row.refresh_generation.is_some(),
        }
    }
}

/// A page of the caller's sessions.
#[derive(Object, Serialize)]
struct SessionPage {
    /// Active sessions, newest first
    sessions: Listed<Session>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/sessions", tag = "Tag::Authentication")]
impl ListSessions {
    /// List the caller's active sessions
    ///
    /// Returns where the user is signed in, newest first, without sessions that have ended. End one that you do not know
    /// with `DELETE /v1/sessions/{id}`.
    #[oai(path = "/", method = "get", operation_id = "listSessions")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Names of the fields to return of each object, separated by commas, such as `id,created_at`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<SessionPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<Session>(fields.0.as_deref())?;
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.user().0))
            .filter(Column::RevokedAt.is_null())
            .filter(Expr::col(Column::ExpiresAt.as_column_ref()).gt(Expr::current_timestamp()));

        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };
        let current = caller.session();
        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, &state.db, list, |row| {
                chosen.serialize(&Session::new(row, current))
            })
            .await?;
        let data = SessionPage {
            sessions: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
