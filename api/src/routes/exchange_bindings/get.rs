//! `GET /v1/exchange-bindings/{id}`

use super::change::binding_action;
use super::credentials::Credentials;
use super::in_info;
use super::object::ExchangeBinding;
use crate::http::secret::ClearSecret;
use crate::routes::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use tiris_store::exchange_bindings;

operation!(GetExchangeBinding: User, Credentials, [INVALID, NOT_FOUND]);

/// An exchange binding with its credentials in clear text. The three credentials are null for a binding without
/// credentials and while they cannot be decrypted.
#[derive(Object, Serialize)]
struct RevealedBinding {
    #[oai(flatten)]
    #[serde(flatten)]
    binding: ExchangeBinding,
    /// False if the stored credentials cannot be decrypted because their encryption key is lost; send all of them again
    /// with `PUT /v1/exchange-bindings/{id}`
    credentials_readable: bool,
    /// API key in clear text
    #[oai(nullable)]
    api_key: Option<Field<ClearSecret>>,
    /// API secret in clear text
    #[oai(nullable)]
    api_secret: Option<Field<ClearSecret>>,
    /// Passphrase in clear text; null if the exchange issues none
    #[oai(nullable)]
    passphrase: Option<Field<ClearSecret>>,
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl GetExchangeBinding {
    /// Get an exchange binding with its credentials
    ///
    /// The owner gets the credentials in clear text; each such response is recorded in the audit trail and sent with
    /// `Cache-Control: no-store`. Public bindings have no credentials. The passphrase stands in `info.passphrase` as well, for
    /// clients that send it there.
    #[oai(path = "/:id", method = "get", operation_id = "getExchangeBinding")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the exchange binding, from `GET /v1/exchange-bindings`
        id: Path<Uuid>,
    ) -> Answer<RevealedBinding, Self> {
        let id = BindingId(id.0);
        let row = exchange_bindings::get(&state.pool, caller.user(), id).await?;

        let opened = Credentials::open(&state.secrets, &row);
        if matches!(opened, Ok(Some(_))) {
            // Recorded first, so that credentials are never shown without a record.
            let mut connection = state.pool.acquire().await.map_err(Error::from)?;
            let action = binding_action(ActionName::ExchangeBindingReveal, id);
            let recorded = audit::record(&mut connection, caller.actor(), &action).await?;
            recorded.log();
        }

        let credentials_readable = opened.is_ok();
        let credentials = opened.unwrap_or_default();
        let clear = |secret: fn(&Credentials) -> Option<&SecretString>| {
            let secret = credentials.as_ref().and_then(secret);
            secret.cloned().map(ClearSecret).map(Field)
        };
        let mut binding = ExchangeBinding::try_from(row)?;
        let passphrase = credentials
            .as_ref()
            .and_then(|given| given.passphrase.as_ref());
        if let Some(passphrase) = passphrase {
            let shown = passphrase.expose_secret().into();
            binding
                .info
                .0
                .0
                .insert(in_info::PASSPHRASE.to_owned(), shown);
        }
        Ok(Reply::done(RevealedBinding {
            binding,
            credentials_readable,
            api_key: clear(|credentials| Some(&credentials.api_key)),
            api_secret: clear(|credentials| Some(&credentials.api_secret)),
            passphrase: clear(|credentials| credentials.passphrase.as_ref()),
        }))
    }
}
