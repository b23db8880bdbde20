//! `PUT /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_domain::ids::AccountId;
use tiris_domain::value::{Info, Name};
use tiris_store::sub_accounts;

/// Change a sub-account.
pub(crate) struct UpdateSubAccount;

impl Policy for UpdateSubAccount {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[
        INVALID_BODY,
        NOT_FOUND,
        (
            409,
            "`SUBACCOUNT_NAME_EXISTS`: another living sub-account of the trading has the name",
        ),
        STALE,
        TOO_LARGE,
        NO_JSON,
    ];
}

/// What is to be changed; what is absent or null stays. Money is moved by deposits and withdrawals only.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
// A client that sends a balance means it to be set.
#[serde(deny_unknown_fields)]
struct SubAccountChange {
    /// Unique among the living sub-accounts of the trading
    name: Option<Field<Name>>,
    /// Free JSON that replaces what is there, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for SubAccountChange {
    fn example() -> Self {
        Self {
            name: Some(Field(Name::from_static("stock"))),
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl UpdateSubAccount {
    /// Changes name or free JSON; what is absent stays, and money is never changed here
    #[oai(path = "/:id", method = "put", operation_id = "updateSubAccount")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
        /// ETag of the version to be changed
        #[oai(name = "If-Match")]
        seen: IfMatch,
        idempotency: Idempotency,
        body: JsonBody<SubAccountChange>,
    ) -> Answer<SubAccount, Self> {
        let user = caller.user();
        let id = AccountId(id.0);
        let name = body.0.name.as_ref().map(|name| &name.0);
        let info = body.0.info.as_ref().map(|info| &info.0);

        let reply = idempotency.run(&state, user, async |mut tx: Tx| {
            let current = sub_accounts::lock(&mut tx, user, id).await?;
            seen.check(&SubAccount::try_from(current)?)?;

            let changed = sub_accounts::update(&mut tx, id, name, info).await?;
            tx.finish(SubAccount::try_from(changed)?).await
        });
        Ok(reply.await?)
    }
}
