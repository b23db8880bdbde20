//! Users: who is calling, and for admins all others.

mod admin;
mod object;
mod profile;

pub(crate) use admin::UserAdmin;
pub(super) use object::User;

use super::refusals::{ChangeSelf, Listing};
use super::{Message, Tag};
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::envelope::{Answer, Reply};
use crate::ledger;
use crate::once::Once;
use crate::state::State;
use crate::version::IfMatch;
use poem::web::Data;
use poem_openapi::OpenApi;
use profile::{ChangeWork, Profile, RemoveWork};

/// Operations on oneself.
pub(crate) struct Users;

#[OpenApi(prefix_path = "/v1/users", tag = "Tag::Users")]
impl Users {
    /// Who is signed in
    #[oai(path = "/me", method = "get", operation_id = "getMe")]
    async fn me(&self, caller: Caller, state: Data<&State>) -> Answer<User, Listing> {
        Ok(Reply::new(User::load(&state.db, caller.user().0).await?))
    }

    /// Changes who is signed in; what is left out stays
    ///
    /// The e-mail address is the one of the identity provider and cannot be changed here.
    #[oai(path = "/me", method = "put", operation_id = "updateMe")]
    async fn change(
        &self,
        caller: Caller,
        state: Data<&State>,
        once: Once,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        body: JsonBody<Profile>,
    ) -> Answer<User, ChangeSelf> {
        let (user, actor) = (caller.user(), caller.actor());
        let work = ChangeWork {
            user,
            actor,
            seen,
            changes: body.0.into_changes(),
        };
        Ok(once.commit(&state, user, &work).await?)
    }

    /// Deletes who is signed in
    ///
    /// All sessions end; credentials at exchanges and the ties to identity providers are destroyed. The books stay.
    /// E-mail address and username are free again, so that the same person can come back as a new user.
    #[oai(path = "/me", method = "delete", operation_id = "deleteMe")]
    async fn remove(&self, caller: Caller, state: Data<&State>) -> Answer<Message, Listing> {
        let work = RemoveWork {
            user: caller.user(),
            actor: caller.actor(),
        };
        let ended = ledger::commit(&state.pool, &work).await?;
        state.sessions.forget(&ended).await;
        Ok(Reply::new(Message::new("Your account is deleted.")))
    }
}
