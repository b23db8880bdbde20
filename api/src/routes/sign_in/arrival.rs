//! Finds or creates the user of an identity, and begins a session.

use crate::routes::prelude::*;
use sqlx::PgConnection;
use std::sync::OnceLock;
use tiris_domain::states::{Role, UserStatus};
use tiris_store::audit::Actor;
use tiris_store::error::SignInProblem;
use tiris_store::oauth::{self, Identity};
use tiris_store::users::{self, LockedUser, NewUser};

/// Longest stored e-mail address and picture URL, in bytes.
const EMAIL_BYTES_MAX: usize = 254;
const URL_BYTES_MAX: usize = 2_048;

/// An identity that signs in, as the provider describes it.
pub(super) struct Arrival<'a> {
    pub(super) identity: Identity,
    pub(super) actor: &'a Actor,
    /// Set once the user is known, also when the sign-in is refused.
    pub(super) known: &'a OnceLock<UserId>,
}

/// The user of an identity that signs in.
#[derive(Clone, Copy)]
pub(super) struct ArrivedUser {
    pub(super) id: UserId,
    is_new: bool,
}

impl Arrival<'_> {
    /// Returns the user of the identity, locked until the transaction ends.
    pub(super) async fn user(&self, connection: &mut PgConnection) -> Result<ArrivedUser> {
        oauth::lock(connection, &self.identity).await?;
        let Some(user) = oauth::find(connection, &self.identity).await? else {
            return self.first_time(connection).await;
        };
        self.known.get_or_init(|| user);

        let row = users::lock(connection, user).await?.ok_or_else(|| {
            Error::sign_in(
                SignInProblem::State,
                "the user was deleted during the login: start the login again",
            )
        })?;
        check_active(column::state(row.status)?)?;
        Ok(ArrivedUser {
            id: user,
            is_new: false,
        })
    }

    /// Returns the entry of a new session in the audit trail, and its actor.
    pub(super) fn begun(&self, user: ArrivedUser, session: Uuid) -> (Actor, Action<'static>) {
        let after = json!({"provider": self.identity.provider, "new_user": user.is_new});
        let action = Action {
            after: Some(after),
            ..action(ActionName::SessionBegin, "session", session)
        };
        let actor = Actor {
            user: Some(user.id),
            session: Some(session),
            ..self.actor.clone()
        };
        (actor, action)
    }

    /// Links the identity to the user with its e-mail address, or to a new user.
    async fn first_time(&self, connection: &mut PgConnection) -> Result<ArrivedUser> {
        let same_address = match &self.identity.email {
            Some(email) => users::lock_by_email(connection, email).await?,
            None => None,
        };

        let user = match same_address {
            Some(user) => self.vouched(connection, user).await?,
            None => ArrivedUser {
                id: self.insert(connection).await?,
                is_new: true,
            },
        };
        oauth::link(connection, user.id, &self.identity).await?;
        if user.is_new {
            oauth::insert_first_trading(connection, user.id).await?;
        }
        Ok(user)
    }

    /// Checks that the identity may use the account with its e-mail address.
    async fn vouched(
        &self,
        connection: &mut PgConnection,
        user: LockedUser,
    ) -> Result<ArrivedUser> {
        self.known.get_or_init(|| user.id);
        // An unverified address proves nothing, and a provider may have reassigned a verified one to another person.
        let vouched = self.identity.email_verified
            && !oauth::is_linked(connection, user.id, self.identity.provider).await?;
        if !vouched {
            return Err(Error::Conflict(Conflict::Email));
        }

        check_active(user.status)?;
        users::set_email_verified(connection, user.id).await?;
        Ok(ArrivedUser {
            id: user.id,
            is_new: false,
        })
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<UserId> {
        let identity = &self.identity;
        let is_sane =
            |text: &&str, max: usize| text.len() <= max && !text.chars().any(char::is_control);
        let name = identity.name.as_deref();
        // An unverified address is not stored: it would lock out its owner or admit them to another user's account.
        let email = identity
            .email
            .as_deref()
            .filter(|email| identity.email_verified && is_sane(email, EMAIL_BYTES_MAX));
        let avatar = identity
            .avatar
            .as_deref()
            .filter(|url| url.starts_with("https://") && is_sane(url, URL_BYTES_MAX));

        let new = NewUser {
            wanted: email
                .and_then(|email| email.split('@').next())
                .or(name)
                .unwrap_or(identity.provider.as_str()),
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
