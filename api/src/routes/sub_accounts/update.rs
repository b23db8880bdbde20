//! `PUT /v1/sub-accounts/{id}`

use super::object::SubAccount;
use crate::routes::prelude::*;
use tiris_store::sub_accounts;

operation!(UpdateSubAccount: User, General, [
    INVALID_BODY,
    NOT_FOUND,
    (409, "`SUBACCOUNT_NAME_EXISTS`: the trading already has a sub-account with this name"),
    STALE,
]);

/// Changes of a sub-account; absent and null fields stay as they are. Balances change by deposits and withdrawals only.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none)]
// Ignoring a balance would let a client believe that it was set.
#[serde(deny_unknown_fields)]
struct SubAccountChange {
    /// New name, unique among the sub-accounts of the trading that are not deleted
    name: Option<Field<Name>>,
    /// Free JSON that replaces the current one, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for SubAccountChange {
    fn example() -> Self {
        Self {
            name: Some(Field(Name::from_static("stock, main"))),
            info: Some(Field::default()),
        }
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl UpdateSubAccount {
    /// Update the name or free JSON of a sub-account
    ///
    /// Absent fields stay as they are; unknown fields, `balance` among them, are rejected. With `If-Match` the update
    /// applies only to the version with that `ETag`, otherwise it fails with `STALE_VERSION`.
    #[oai(path = "/:id", method = "put", operation_id = "updateSubAccount")]
    async fn update(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
        /// `ETag` of the version to update, from an earlier `GET`
        #[oai(name = "If-Match")]
        seen: IfMatch,
        idempotency: Idempotency,
        body: JsonBody<SubAccountChange>,
    ) -> Answer<SubAccount, Self> {
        let user = caller.user();
        let id = AccountId(id.0);
        let name = body.0.name.as_ref().map(|name| &name.0);
        let info = body.0.info.as_ref().map(|info| &info.0);

        let work = async |mut tx: Tx| {
            let current = sub_accounts::lock(&mut tx, user, id).await?;
            let before = json!({"name": current.name});
            let current = SubAccount::try_from(current)?;
            seen.check(&current)?;

            let Some(changed) = sub_accounts::update(&mut tx, id, name, info).await? else {
                return tx.finish_unchanged(current).await;
            };
            let action = Action {
                before: Some(before),
                after: Some(json!({"name": changed.name, "info_given": info.is_some()})),
                ..action(ActionName::SubAccountUpdate, "sub_account", id)
            };
            let tx = tx.audited(caller.actor(), &action).await?;
            tx.finish(SubAccount::try_from(changed)?).await
        };
        let reread = async || SubAccount::try_from(sub_accounts::get(&state.pool, user, id).await?);
        let reply = idempotency.run_or_reread(&state, user, work, reread);
        Ok(reply.await?)
    }
}
