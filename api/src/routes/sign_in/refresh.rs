//! `POST /v1/auth/refresh`

use super::tokens::Tokens;
use crate::auth::secret;
use crate::routes::prelude::*;
use secrecy::SecretString;
use tiris_domain::states::UserStatus;
use tiris_store::sessions;

operation!(Refresh: Public, Auth, [
    INVALID_BODY,
    (401, "`INVALID_TOKEN`: the refresh token is unknown, or its session has expired or ended"),
    FORBIDDEN,
    UNAVAILABLE,
]);

/// The renewal of an access token.
#[derive(Object, Deserialize)]
#[oai(example)]
struct Renewal {
    /// Refresh token from `POST /v1/auth/callback`
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
    #[oai(path = "/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        _caller: Anyone<Self>,
        state: Data<&State>,
        body: JsonBody<Renewal>,
    ) -> Answer<Tokens, Self> {
        let token = SecretString::from(body.0.refresh_token.0.into_string());
        let mut connection = state.pool.acquire().await.map_err(Error::from)?;
        let found = sessions::of_refresh_token(&mut connection, &secret::hash(&token)).await?;
        let session = found.ok_or(Error::InvalidToken("the refresh token is unknown"))?;

        if session.status == UserStatus::Disabled {
            return Err(Error::AccountDisabled.into());
        }
        if !session.alive || session.status != UserStatus::Active {
            return Err(Error::InvalidToken("its session has ended").into());
        }

        let access = state.sessions.issue(session.user_id, session.id)?;
        Ok(Reply::done(Tokens::new(&access, &token)))
    }
}
