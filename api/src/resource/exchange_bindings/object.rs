//! Exchange bindings as answers show them.

use crate::resource::stored;
use crate::value::{ClearSecret, Info};
use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use tiris_runtime::crypto::CryptoError;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::Result;
use uuid::Uuid;

use super::credentials::Credentials;

/// Which exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(in crate::resource) enum ExchangeType {
    Binance,
    Kraken,
    Gate,
    Coinbase,
    Okx,
    Virtual,
}

impl ExchangeType {
    /// Names in requests and in the database.
    pub(in crate::resource) const NAMES: [(&'static str, Self); 6] = [
        ("binance", Self::Binance),
        ("kraken", Self::Kraken),
        ("gate", Self::Gate),
        ("coinbase", Self::Coinbase),
        ("okx", Self::Okx),
        ("virtual", Self::Virtual),
    ];

    /// Whether its API keys come with a passphrase.
    pub(super) const fn asks_for_passphrase(self) -> bool {
        match self {
            Self::Coinbase | Self::Okx => true,
            Self::Binance | Self::Kraken | Self::Gate | Self::Virtual => false,
        }
    }

    /// The name of it.
    pub(in crate::resource) const fn stored(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Kraken => "kraken",
            Self::Gate => "gate",
            Self::Coinbase => "coinbase",
            Self::Okx => "okx",
            Self::Virtual => "virtual",
        }
    }
}

/// Whose binding it is.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum BindingKind {
    /// One user's, with credentials.
    Private,
    /// Everybody's, for paper and backtest tradings.
    Public,
}

/// What the exchange said about the credentials.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum BindingStatus {
    Unverified,
    Valid,
    Refused,
    Deleted,
}

/// An account at an exchange.
#[derive(Object, Serialize)]
pub(super) struct ExchangeBinding {
    id: Uuid,
    /// Unique among your living bindings
    name: String,
    exchange_type: ExchangeType,
    kind: BindingKind,
    status: BindingStatus,
    /// First and last characters of the API key; null for bindings without credentials
    #[oai(nullable)]
    masked_api_key: Option<String>,
    /// When the exchange last said whether the credentials are valid
    #[oai(nullable)]
    last_verified_at: Option<DateTime<Utc>>,
    /// Free JSON
    info: Info,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// All bindings, newest first.
#[derive(Object, Serialize)]
pub(super) struct ExchangeBindingList {
    pub(super) exchange_bindings: Vec<ExchangeBinding>,
}

impl ExchangeBinding {
    pub(super) fn from_row(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name,
            exchange_type: stored(&row.exchange_type)?,
            kind: stored(&row.kind)?,
            status: stored(&row.status)?,
            masked_api_key: row.masked_api_key,
            last_verified_at: row.last_verified_at,
            info: Info::from_column(row.info),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl ExchangeBindingList {
    pub(super) fn from_rows(rows: Vec<Model>) -> Result<Self> {
        let exchange_bindings = rows
            .into_iter()
            .map(ExchangeBinding::from_row)
            .collect::<Result<_>>()?;
        Ok(Self { exchange_bindings })
    }
}

/// A binding with its credentials in clear; all three are null for one without credentials, and while they cannot be
/// read.
#[derive(Object, Serialize)]
pub(super) struct RevealedBinding {
    #[oai(flatten)]
    #[serde(flatten)]
    binding: ExchangeBinding,
    /// False when there are credentials that cannot be read any more, because their encryption key is lost: give all of
    /// them again with PUT
    credentials_readable: bool,
    /// In clear
    #[oai(nullable)]
    api_key: Option<ClearSecret>,
    /// In clear
    #[oai(nullable)]
    api_secret: Option<ClearSecret>,
    /// In clear; null when the exchange asks for none
    #[oai(nullable)]
    passphrase: Option<ClearSecret>,
}

impl RevealedBinding {
    /// `opened` is an error when they cannot be read.
    pub(super) fn new(
        row: Model,
        opened: Result<Option<Credentials>, CryptoError>,
    ) -> Result<Self> {
        let binding = ExchangeBinding::from_row(row)?;
        let credentials_readable = opened.is_ok();
        let credentials = opened.unwrap_or_default().map(|given| {
            (
                Some(given.api_key),
                Some(given.api_secret),
                given.passphrase,
            )
        });
        let (api_key, api_secret, passphrase) = credentials.unwrap_or_default();
        Ok(Self {
            binding,
            credentials_readable,
            api_key: api_key.map(ClearSecret),
            api_secret: api_secret.map(ClearSecret),
            passphrase: passphrase.map(ClearSecret),
        })
    }
}

/// What an exchange says about credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Verification {
    /// It accepts them.
    Valid,
    /// It does not.
    Refused,
}

/// What came of asking the exchange.
#[derive(Object, Serialize)]
pub(super) struct VerifiedBinding {
    pub(super) status: Verification,
    /// The same for a person, with the exchange's own code
    pub(super) message: String,
    pub(super) exchange_binding: ExchangeBinding,
}

/// A binding as tradings show it.
#[derive(Object, Serialize)]
pub(in crate::resource) struct BindingSummary {
    id: Uuid,
    name: String,
    exchange_type: ExchangeType,
    kind: BindingKind,
    status: BindingStatus,
}

impl BindingSummary {
    pub(in crate::resource) fn from_row(row: &Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            name: row.name.clone(),
            exchange_type: stored(&row.exchange_type)?,
            kind: stored(&row.kind)?,
            status: stored(&row.status)?,
        })
    }
}
