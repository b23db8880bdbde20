//! A person comes back from a provider: which user that is, made when there is none, and the session that begins.

use crate::ledger::Work;
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::{Role, UserStatus};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::error::{Conflict, Error, Result, SignInProblem};
use tiris_store::oauth::{self, Identity};
use tiris_store::sessions;
use tiris_store::users::{self, LockedUser, NewUser};
use uuid::Uuid;

/// Longest address and longest picture's address that are kept, in bytes.
const EMAIL_BYTES_MAX: usize = 254;
const URL_BYTES_MAX: usize = 2_048;

/// The transaction of a sign-in; it answers user and session.
pub(super) struct ArriveWork {
    pub(super) identity: Identity,
    pub(super) refresh: [u8; 32],
    pub(super) actor: Actor,
}

impl Work for ArriveWork {
    type Output = (UserId, Uuid);

    async fn run(&self, connection: &mut PgConnection) -> Result<(UserId, Uuid)> {
        oauth::lock(connection, &self.identity).await?;
        let (user, is_new) = match oauth::find(connection, &self.identity).await? {
            Some(user) => {
                let status = users::lock(connection, user).await?;
                let gone = || {
                    Error::sign_in(
                        SignInProblem::State,
                        "the user was deleted meanwhile: begin again",
                    )
                };
                check_active(status.ok_or_else(gone)?)?;
                (user, false)
            }
            None => self.first_time(connection).await?,
        };
        let agent = self.actor.agent.as_deref();
        let session = sessions::begin(connection, user, Some(&self.refresh), agent).await?;
        let action = Action {
            name: "session.begin",
            resource: "session",
            id: Some(session.to_string()),
            before: None,
            after: Some(json!({"provider": self.identity.provider, "new_user": is_new})),
        };
        let actor = Actor {
            user: Some(user),
            session: Some(session),
            ..self.actor.clone()
        };
        audit::record(connection, &actor, &action).await?;
        Ok((user, session))
    }
}

impl ArriveWork {
    /// The user the person is from now on, and whether it was made.
    async fn first_time(&self, connection: &mut PgConnection) -> Result<(UserId, bool)> {
        let same_address = match &self.identity.email {
            Some(email) => users::lock_by_email(connection, email).await?,
            None => None,
        };
        let (user, is_new) = match same_address {
            Some(LockedUser { id: user, status }) => {
                // An address alone proves nothing unless the provider vouches for it; and another person at the same
                // provider may have been given an address that was somebody else's before.
                let vouched = self.identity.email_verified
                    && !oauth::is_tied(connection, user, self.identity.provider).await?;
                if !vouched {
                    return Err(Error::Conflict(Conflict::Email));
                }
                check_active(status)?;
                users::set_email_verified(connection, user).await?;
                (user, false)
            }
            None => (self.make(connection).await?, true),
        };
        oauth::tie(connection, user, &self.identity).await?;
        if is_new {
            oauth::make_first_trading(connection, user).await?;
        }
        Ok((user, is_new))
    }

    async fn make(&self, connection: &mut PgConnection) -> Result<UserId> {
        let identity = &self.identity;
        // An address nobody vouches for is not kept: it would bar its owner, or let them into a stranger's account.
        let email = identity
            .email
            .as_deref()
            .filter(|_| identity.email_verified);
        let is_sane =
            |text: &&str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
        let email = email.filter(|email| is_sane(email, EMAIL_BYTES_MAX));
        let name = identity.name.as_deref();
        let wanted = email
            .and_then(|email| email.split('@').next())
            .or(name)
            .unwrap_or(identity.provider);
        let avatar = identity
            .avatar
            .as_deref()
            .filter(|url| url.starts_with("https://"));
        let avatar = avatar.filter(|url| is_sane(url, URL_BYTES_MAX));
        let new = NewUser {
            wanted,
            full_name: name.unwrap_or_default(),
            email,
            avatar,
            role: Role::User,
        };
        users::insert(connection, &new).await
    }
}

fn check_active(status: UserStatus) -> Result<()> {
    if status == UserStatus::Active {
        Ok(())
    } else {
        Err(Error::AccountDisabled)
    }
}
