//! The details of an error response: a text for developers, or the account and amounts of a rejection by the ledger.

use super::field::Field;
use poem_openapi::Object;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::Serialize;
use serde_json::Value as Json;
use std::borrow::Cow;
use tiris_domain::ledger;
use tiris_domain::money::Money;
use tiris_domain::value::Figure;
use uuid::Uuid;

/// Details of an error: a text, or the account and amounts of a rejection.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Details {
    Text(String),
    Rejection(RejectionDetails),
}

/// Not the union of the framework, which would declare the text as an object.
impl Type for Details {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "Details".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            one_of: vec![String::schema_ref(), RejectionDetails::schema_ref()],
            ..MetaSchema::ANY
        }))
    }

    fn register(registry: &mut Registry) {
        RejectionDetails::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Details {
    fn parse_from_json(value: Option<Json>) -> ParseResult<Self> {
        if let Some(Json::String(text)) = value {
            return Ok(Self::Text(text));
        }
        RejectionDetails::parse_from_json(value)
            .map(Self::Rejection)
            .map_err(ParseError::propagate)
    }
}

impl ToJSON for Details {
    fn to_json(&self) -> Option<Json> {
        match self {
            Self::Text(text) => text.to_json(),
            Self::Rejection(details) => details.to_json(),
        }
    }
}

/// Why the ledger rejects a request: the account and the amounts; a member is null where it does not apply.
#[derive(Default, Object, Serialize)]
pub(crate) struct RejectionDetails {
    /// Id of the sub-account
    #[oai(nullable)]
    account_id: Option<Uuid>,
    /// Symbol of its asset
    #[oai(nullable)]
    asset: Option<String>,
    /// The symbol in the request, which differs from `asset`
    #[oai(nullable)]
    given_asset: Option<String>,
    /// The amount in the request, which is not above zero
    #[oai(nullable)]
    given_amount: Option<Field<Figure>>,
    /// The amount that the request needs
    #[oai(nullable)]
    needed: Option<Field<Figure>>,
    /// The amount that the request may use: the available balance, with the hold of the request's order
    #[oai(nullable)]
    available: Option<Field<Money>>,
}

impl From<&ledger::Details> for RejectionDetails {
    fn from(details: &ledger::Details) -> Self {
        match details {
            ledger::Details::Account(account) => Self {
                account_id: Some(account.0),
                ..Self::default()
            },
            ledger::Details::Symbol {
                account,
                asset,
                given,
            } => Self {
                account_id: Some(account.0),
                asset: Some(asset.to_string()),
                given_asset: Some(given.to_string()),
                ..Self::default()
            },
            ledger::Details::Amount {
                account,
                asset,
                given,
            } => Self {
                account_id: Some(account.0),
                asset: Some(asset.to_string()),
                given_amount: Some(Field(Figure(given.clone()))),
                ..Self::default()
            },
            ledger::Details::Shortage {
                account,
                asset,
                needed,
                available,
            } => Self {
                account_id: Some(account.0),
                asset: Some(asset.to_string()),
                needed: Some(Field(Figure(needed.clone()))),
                available: Some(Field(*available)),
                ..Self::default()
            },
        }
    }
}
