//! `GET /v1/exchange-bindings/{id}`

use super::change::action;
use super::credentials::Credentials;
use super::object::ExchangeBinding;
use crate::http::secret::ClearSecret;
use crate::routes::prelude::*;
use secrecy::SecretString;
use tiris_domain::ids::BindingId;
use tiris_store::{audit, exchange_bindings};

/// Get an exchange binding with its credentials.
pub(crate) struct GetExchangeBinding;

impl Policy for GetExchangeBinding {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::Credentials);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

/// A binding with its credentials in clear; all three are null for one without credentials, and while they cannot be
/// read.
#[derive(Object, Serialize)]
struct RevealedBinding {
    #[oai(flatten)]
    #[serde(flatten)]
    binding: ExchangeBinding,
    /// False when there are credentials that cannot be read any more, because their encryption key is lost: give all of
    /// them again with PUT
    credentials_readable: bool,
    /// In clear
    #[oai(nullable)]
    api_key: Option<Field<ClearSecret>>,
    /// In clear
    #[oai(nullable)]
    api_secret: Option<Field<ClearSecret>>,
    /// In clear; null when the exchange asks for none
    #[oai(nullable)]
    passphrase: Option<Field<ClearSecret>>,
}

#[OpenApi(prefix_path = "/v1/exchange-bindings", tag = "Tag::ExchangeBindings")]
impl GetExchangeBinding {
    /// One binding, its owner's with the credentials in clear
    ///
    /// Every such answer is kept in the audit trail, and nobody may store it. Credentials whose encryption key is lost
    /// are null, with `credentials_readable` false.
    #[oai(path = "/:id", method = "get", operation_id = "getExchangeBinding")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The binding
        id: Path<Uuid>,
    ) -> Answer<RevealedBinding, Self> {
        let id = BindingId(id.0);
        let row = exchange_bindings::get(&state.pool, caller.user(), id).await?;

        let opened = Credentials::open(&state.secrets, &row);
        if matches!(opened, Ok(Some(_))) {
            // Kept before it is shown: without a trace nothing is.
            let mut connection = state.pool.acquire().await.map_err(Error::from)?;
            let action = action("exchange_binding.reveal", id);
            audit::record(&mut connection, caller.actor(), &action).await?;
        }

        let credentials_readable = opened.is_ok();
        let credentials = opened.unwrap_or_default();
        let clear = |secret: fn(&Credentials) -> Option<&SecretString>| {
            let secret = credentials.as_ref().and_then(secret);
            secret.cloned().map(ClearSecret).map(Field)
        };
        Ok(Reply::done(RevealedBinding {
            binding: ExchangeBinding::try_from(row)?,
            credentials_readable,
            api_key: clear(|credentials| Some(&credentials.api_key)),
            api_secret: clear(|credentials| Some(&credentials.api_secret)),
            passphrase: clear(|credentials| credentials.passphrase.as_ref()),
        }))
    }
}
