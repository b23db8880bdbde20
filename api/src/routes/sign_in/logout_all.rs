//! `POST /v1/auth/logout-all`

use crate::routes::prelude::*;
use tiris_store::sessions;

operation!(LogoutAll: User, Auth, [INVALID_BODY]);

/// Which sessions to end.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
// Ignoring an unknown field would end more than intended.
#[serde(deny_unknown_fields)]
struct LogoutScope {
    /// Whether the session of the access token stays, by default false
    keep_current: Option<bool>,
}

impl Example for LogoutScope {
    fn example() -> Self {
        Self {
            keep_current: Some(true),
        }
    }
}

/// The ended sessions.
#[derive(Object, Serialize)]
struct EndedSessions {
    /// Number of sessions that were ended
    ended: u64,
    #[oai(skip)]
    #[serde(skip)]
    ids: Vec<Uuid>,
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl LogoutAll {
    /// Sign out everywhere
    ///
    /// Ends all sessions of the user, or all but the one of the access token. Their access tokens and refresh tokens stop
    /// working within 10 seconds. Do this when a device or a token may be in other hands.
    #[oai(path = "/logout-all", method = "post", operation_id = "logoutAll")]
    async fn logout_all(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        body: JsonBody<LogoutScope>,
    ) -> Answer<EndedSessions, Self> {
        let user = caller.user();
        let kept = body.0.keep_current.unwrap_or(false);
        let kept = kept.then_some(caller.session());

        let reply = Tx::run(&state, user, async |mut tx: Tx| {
            let ids = sessions::revoke_all(&mut tx, user, kept).await?;
            let tx = if ids.is_empty() {
                tx.unchanged()
            } else {
                let action = Action {
                    after: Some(json!({"session_ids": ids})),
                    ..action(ActionName::SessionEndAll, "user", user)
                };
                tx.audited(caller.actor(), &action).await?
            };
            tx.finish(EndedSessions {
                ended: ids.len() as u64,
                ids,
            })
            .await
        });
        let reply = reply.await?;

        if let Some(ended) = reply.data() {
            state.sessions.forget(&ended.ids).await;
        }
        Ok(reply)
    }
}
