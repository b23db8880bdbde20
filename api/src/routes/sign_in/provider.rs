//! The identity provider in requests.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tiris_domain::states::{IdentityProvider, State as _};
use tiris_domain::value::{Invalid, Schema, Value};
use tiris_store::error::{Error, Result, SignInProblem};

/// The identity provider of a request. Any value is read, because an unknown provider has its own error code.
pub(super) struct NamedProvider(Option<IdentityProvider>);

impl NamedProvider {
    /// Returns the provider.
    ///
    /// # Errors
    /// [`SignInProblem::UnknownProvider`] if no provider has this name.
    pub(super) fn known(&self) -> Result<IdentityProvider> {
        self.0.ok_or_else(|| {
            let why = format!("provider must be {}", IdentityProvider::NAMES.join(" or "));
            Error::sign_in(SignInProblem::UnknownProvider, why)
        })
    }
}

impl From<IdentityProvider> for NamedProvider {
    fn from(provider: IdentityProvider) -> Self {
        Self(Some(provider))
    }
}

impl Value for NamedProvider {
    fn schema() -> Schema {
        IdentityProvider::schema()
    }

    fn from_json(value: Json) -> Result<Self, Invalid> {
        Ok(Self(value.as_str().and_then(IdentityProvider::named)))
    }

    fn to_json(&self) -> Json {
        self.0.map(IdentityProvider::as_str).into()
    }
}

impl<'de> Deserialize<'de> for NamedProvider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(Invalid::into_serde)
    }
}
