//! `POST /v1/auth/refresh`

use super::tokens::Tokens;
use crate::auth::rotating::RotatingToken;
use crate::auth::{anonymous, secret};
use crate::routes::prelude::*;
use poem::Request;
use secrecy::SecretString;
use tiris_domain::states::UserStatus;
use tiris_store::audit::Actor;
use tiris_store::sessions::{self, SessionState};

operation!(Refresh: Public, Auth, [
    INVALID_BODY,
    (401, "`INVALID_TOKEN`: the refresh token is unknown or used up, or its session has expired or ended"),
    FORBIDDEN,
    UNAVAILABLE,
]);

/// The renewal of an access token.
#[derive(Object, Deserialize)]
#[oai(example)]
struct Renewal {
    /// Refresh token from `POST /v1/auth/callback`, or from the last refresh of a session whose tokens rotate
    refresh_token: Field<Text<1, 512>>,
}

impl Example for Renewal {
    fn example() -> Self {
        let token = Text::from_static("J1k9xq3yR0m7oGm1b1qTn0m8cX2b7Q5u9wB4eZ6tYvA");
        Self {
            refresh_token: Field(token),
        }
    }
}

#[OpenApi(prefix_path = "/v1/auth", tag = "Tag::Authentication")]
impl Refresh {
    /// Renew an access token
    ///
    /// Returns a new access token for the session of the refresh token. The refresh token stays valid until its session
    /// expires, 30 days after signing in, or ends.
    ///
    /// A session whose login had `rotate` gets a new refresh token each time, and the old one is used up. For 10 seconds a
    /// repeated request gets the same new one, so that two tabs, or a retry after a lost response, do no harm. Later the use of
    /// an old token means that it was copied: the session ends, and the audit trail records it.
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        _caller: Anyone<Self>,
        request: &Request,
        state: Data<&State>,
        body: JsonBody<Renewal>,
    ) -> Answer<Tokens, Self> {
        let token = SecretString::from(body.0.refresh_token.0.into_string());
        if let Some(rotating) = RotatingToken::open(&state.secrets.fingerprints, &token) {
            return Ok(rotated(&state, &anonymous(request), rotating).await?);
        }

        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let found = sessions::of_refresh_token(&mut connection, &secret::hash(&token)).await?;
        let session = found.ok_or(Error::InvalidToken("the refresh token is unknown"))?;
        check_alive(&session)?;

        drop(connection);
        state.sessions.note_use(&session).await;
        let access = state.sessions.issue(session.user_id, session.id)?;
        Ok(Reply::done(Tokens::new(&access, &token)))
    }
}

fn check_alive(session: &SessionState) -> Result<()> {
    if session.status == UserStatus::Disabled {
        return Err(Error::AccountDisabled);
    }
    if !session.alive || session.status != UserStatus::Active {
        return Err(Error::InvalidToken("its session has ended"));
    }
    Ok(())
}

/// Replaces a refresh token. A token that was replaced before ends its session, unless it was a moment ago.
async fn rotated(state: &State, actor: &Actor, given: RotatingToken) -> Result<Reply<Tokens>> {
    let ended = Tx::run_public(state, async |mut tx: Tx| {
        let found = sessions::lock_rotating(&mut tx, given.session).await?;
        let current = found.ok_or(Error::InvalidToken("its session does not exist"))?;
        check_alive(&current.state)?;

        let is_current = given.generation == current.generation;
        let is_repeated = given.generation == current.generation - 1 && current.has_just_rotated;
        if is_current || is_repeated {
            let generation = if is_current {
                sessions::rotate(&mut tx, given.session).await?
            } else {
                current.generation
            };
            let next = RotatingToken {
                generation,
                ..given
            };
            let access = state.sessions.issue(current.state.user_id, given.session)?;
            let tokens = Tokens::new(&access, &next.seal(&state.secrets.fingerprints));
            return Ok(Some(tx.renewed().finish(tokens).await?));
        }

        sessions::revoke(&mut tx, given.session).await?;
        let actor = Actor {
            user: Some(current.state.user_id),
            session: Some(given.session),
            ..actor.clone()
        };
        let action = Action {
            after: Some(json!({"reason": "an old refresh token was used"})),
            ..action(ActionName::SessionReuse, "session", given.session)
        };
        tx.audited(&actor, &action).await?.commit().await?;
        Ok(None)
    });

    if let Some(tokens) = ended.await? {
        return Ok(tokens);
    }
    state.sessions.forget(&[given.session]).await;
    Err(Error::InvalidToken(
        "the refresh token was used before, so its session has ended: sign in again",
    ))
}
