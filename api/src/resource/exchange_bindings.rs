//! Exchange bindings: accounts at exchanges, private ones with credentials and public ones without.

mod create;
mod credentials;
mod load;
mod object;
mod update;
mod verify;

pub(super) use create::Insert;
pub(super) use credentials::{Credentials, GivenCredentials};
pub(super) use load::lock_usable;
pub(super) use object::BindingSummary;
pub(super) use object::ExchangeType;
pub(super) use verify::after_change;

use super::refusals::{ChangeBinding, DeleteBinding, Filtered, MakeBinding, One, VerifyBinding};
use super::{Message, Tag};
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::envelope::{Answer, Made, Reply};
use crate::filter::containing;
use crate::ledger;
use crate::once::Once;
use crate::state::State;
use create::{CreateWork, NewBinding, record};
use object::{ExchangeBinding, ExchangeBindingList, RevealedBinding, VerifiedBinding};
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use tiris_domain::ids::{BindingId, new_id};
use tiris_store::entity::exchange_bindings::{Column, Entity};
use tiris_store::error::{Error, Result};
use update::{BindingChange, DeleteWork, UpdateWork};
use uuid::Uuid;

/// Operations on exchange bindings.
pub(crate) struct ExchangeBindings;

async fn living(
    state: &State,
    which: Condition,
    info: Option<&str>,
) -> Result<ExchangeBindingList> {
    let rows = Entity::find()
        .filter(which)
        .filter(Column::Status.ne("deleted"))
        .filter(containing(Column::Info, info)?)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .all(&state.db)
        .await?;
    ExchangeBindingList::from_rows(rows)
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl ExchangeBindings {
    /// The caller's own bindings, newest first, without their credentials
    #[oai(path = "/", method = "get", operation_id = "listExchangeBindings")]
    async fn list(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// JSON object the `info` of a binding must contain
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Filtered> {
        let mine = Condition::all().add(Column::UserId.eq(caller.user().0));
        Ok(Reply::new(living(&state, mine, info.0.as_deref()).await?))
    }

    /// The bindings everybody may use
    #[oai(
        path = "/public",
        method = "get",
        operation_id = "listPublicExchangeBindings"
    )]
    async fn public(
        &self,
        _caller: Caller,
        state: Data<&State>,
        /// JSON object the `info` of a binding must contain
        info: Query<Option<String>>,
    ) -> Answer<ExchangeBindingList, Filtered> {
        let public = Condition::all().add(Column::Kind.eq("public"));
        Ok(Reply::new(living(&state, public, info.0.as_deref()).await?))
    }

    /// Makes a private binding; its credentials are encrypted
    ///
    /// Where the service is set up to ask the exchange at once, the answer has its `status`; it stays `unverified` when
    /// the exchange cannot be reached.
    #[oai(path = "/", method = "post", operation_id = "createExchangeBinding")]
    async fn create(
        &self,
        caller: Caller,
        state: Data<&State>,
        once: Once,
        body: JsonBody<NewBinding>,
    ) -> Made<ExchangeBinding, MakeBinding> {
        let id = BindingId(new_id());
        let (secrets, actor, user) = (&state.secrets, caller.actor(), caller.user());
        let work = CreateWork {
            secrets,
            actor,
            user,
            id,
            new: &body.0,
        };
        let reply = once.commit(&state, user, &work).await?;
        Ok(verify::answer(&state, &caller, &once, id, reply).await?)
    }

    /// One binding, its owner's with the credentials in clear
    ///
    /// Every such answer is kept in the audit trail, and nobody may store it. Credentials whose encryption key is lost
    /// are null, with `credentials_readable` false.
    #[oai(path = "/:id", method = "get", operation_id = "getExchangeBinding")]
    async fn get(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
    ) -> Answer<RevealedBinding, One> {
        let row = load::visible(&state.db, BindingId(id.0), caller.user()).await?;
        let credentials = Credentials::open(&state.secrets, &row);
        if matches!(credentials, Ok(Some(_))) {
            // Kept before it is shown: without a trace nothing is.
            let mut connection = state.pool.acquire().await.map_err(Error::from)?;
            let (id, nothing) = (BindingId(id.0), (None, None));
            record(
                &mut connection,
                caller.actor(),
                "exchange_binding.reveal",
                id,
                nothing,
            )
            .await?;
        }
        Ok(Reply::unstored(RevealedBinding::new(row, credentials)?))
    }

    /// Changes a binding; a public one by admins only
    ///
    /// What is absent stays. New credentials, or another exchange, make the binding `unverified` until the exchange is
    /// asked.
    #[oai(path = "/:id", method = "put", operation_id = "updateExchangeBinding")]
    async fn update(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
        once: Once,
        body: JsonBody<BindingChange>,
    ) -> Answer<ExchangeBinding, ChangeBinding> {
        let (id, user) = (BindingId(id.0), caller.user());
        let work = UpdateWork {
            secrets: &state.secrets,
            actor: caller.actor(),
            user,
            is_admin: caller.is_admin(),
            id,
            change: &body.0,
        };
        let reply = once.commit(&state, user, &work).await?;
        if !body.0.concerns_credentials() {
            return Ok(reply);
        }
        Ok(verify::answer(&state, &caller, &once, id, reply).await?)
    }

    /// Deletes a binding no living trading uses, and destroys its credentials; a public one by admins only
    #[oai(
        path = "/:id",
        method = "delete",
        operation_id = "deleteExchangeBinding"
    )]
    async fn delete(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
    ) -> Answer<Message, DeleteBinding> {
        let work = DeleteWork {
            actor: caller.actor(),
            user: caller.user(),
            is_admin: caller.is_admin(),
            id: BindingId(id.0),
        };
        ledger::commit(&state.pool, &work).await?;
        Ok(Reply::new(Message::new("The exchange binding is deleted.")))
    }

    /// Asks the exchange whether the credentials are valid, with one signed call that changes nothing there
    ///
    /// For Binance, Kraken and Gate.io. When the exchange cannot be asked, the binding is kept as `unverified`.
    #[oai(
        path = "/:id/verify",
        method = "post",
        operation_id = "verifyExchangeBinding"
    )]
    async fn verify(
        &self,
        caller: Caller,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
        once: Once,
    ) -> Answer<VerifiedBinding, VerifyBinding> {
        if let Some(reply) = once.before(&state, caller.user()).await? {
            return Ok(reply);
        }
        Ok(verify::verify(&state, &caller, &once, BindingId(id.0)).await?)
    }
}
