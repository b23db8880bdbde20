//! A trading to be made, as a request gives it.

use crate::fields::{Fields, FromFields, required};
use crate::resource::NAME_LENGTH_MAX;
use crate::resource::exchange_bindings::{Credentials, ExchangeType, GivenCredentials};
use crate::value::{Amount, Info, SecretInput};
use chrono::{DateTime, Utc};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use tiris_domain::money::{Money, Number};
use tiris_store::error::{Error, Result};
use uuid::{Uuid, uuid};

/// Sub-accounts that can be made together with a trading.
const SUB_ACCOUNTS_MAX: usize = 100;

/// Kind of a new trading.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum NewTradingType {
    /// With money at an exchange; needs `exchange_binding_id`
    Real,
    /// With prices of now and money on paper
    Paper,
    /// With prices of the past
    Backtest,
    /// Another word for paper
    Virtual,
    /// Real, on a private binding made from credentials for Binance
    Binance,
    /// The same for Kraken
    Kraken,
    /// The same for Gate.io
    Gate,
    /// The same for Coinbase
    Coinbase,
    /// The same for OKX
    Okx,
}

impl NewTradingType {
    const NAMES: [(&'static str, Self); 9] = [
        ("real", Self::Real),
        ("paper", Self::Paper),
        ("backtest", Self::Backtest),
        ("virtual", Self::Virtual),
        ("binance", Self::Binance),
        ("kraken", Self::Kraken),
        ("gate", Self::Gate),
        ("coinbase", Self::Coinbase),
        ("okx", Self::Okx),
    ];

    /// The exchange whose credentials come with the trading.
    pub(super) const fn exchange(self) -> Option<ExchangeType> {
        match self {
            Self::Real | Self::Paper | Self::Backtest | Self::Virtual => None,
            Self::Binance => Some(ExchangeType::Binance),
            Self::Kraken => Some(ExchangeType::Kraken),
            Self::Gate => Some(ExchangeType::Gate),
            Self::Coinbase => Some(ExchangeType::Coinbase),
            Self::Okx => Some(ExchangeType::Okx),
        }
    }

    /// The name of it in the database.
    pub(super) const fn stored(self) -> &'static str {
        match self {
            Self::Real | Self::Binance | Self::Kraken | Self::Gate | Self::Coinbase | Self::Okx => {
                "real"
            }
            Self::Paper | Self::Virtual => "paper",
            Self::Backtest => "backtest",
        }
    }
}

/// A trading to be made.
#[derive(Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(super) struct NewTrading {
    /// Unique among your living tradings
    #[oai(validator(min_length = 1, max_length = 128))]
    pub(super) name: String,
    pub(super) r#type: NewTradingType,
    /// A binding of yours or a public one; required for `real`
    pub(super) exchange_binding_id: Option<Uuid>,
    /// Required for a type that names an exchange, and only there: 1 to 256 visible ASCII characters without `*`
    pub(super) api_key: Option<SecretInput>,
    /// Required for a type that names an exchange, and only there: 1 to 4096 characters
    pub(super) api_secret: Option<SecretInput>,
    /// For a type that names an exchange which asks for one, 1 to 256 characters
    pub(super) passphrase: Option<SecretInput>,
    /// Free JSON, at most 16 KiB
    pub(super) info: Option<Info>,
    /// Sub-accounts to be made with it
    #[oai(validator(max_items = 100))]
    pub(super) sub_accounts: Option<Vec<NewTradingAccount>>,
}

/// A sub-account to be made together with its trading.
#[derive(Object)]
pub(super) struct NewTradingAccount {
    /// Unique in the trading
    #[oai(validator(min_length = 1, max_length = 128))]
    pub(super) name: String,
    /// Symbol of the asset, such as `BTC`
    #[oai(validator(min_length = 1, max_length = 20))]
    pub(super) symbol: String,
    /// Booked as a deposit when it is not zero
    pub(super) initial_deposit: Option<Amount>,
    /// When the deposit happened, when that is not now: the beginning of a backtest
    pub(super) event_time: Option<DateTime<Utc>>,
    /// Free JSON, at most 16 KiB
    pub(super) info: Option<Info>,
}

impl Example for NewTrading {
    fn example() -> Self {
        let account = |name: &str, symbol: &str, deposit: Number| NewTradingAccount {
            name: name.to_owned(),
            symbol: symbol.to_owned(),
            initial_deposit: Some(Amount(deposit)),
            event_time: None,
            info: Some(Info::default()),
        };
        Self {
            name: "ETH grid".to_owned(),
            r#type: NewTradingType::Paper,
            exchange_binding_id: Some(uuid!("01900000-0000-7000-8000-000000000001")),
            api_key: None,
            api_secret: None,
            passphrase: None,
            info: Some(Info::default()),
            sub_accounts: Some(vec![
                account("stock", "ETH", Money::ZERO.into()),
                account("currency", "BTC", Money::ONE.into()),
            ]),
        }
    }
}

impl FromFields for NewTradingAccount {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        Ok(Self {
            name: required(
                "sub_accounts.name",
                fields.text("sub_accounts.name", 1, NAME_LENGTH_MAX)?,
            )?,
            symbol: required("sub_accounts.symbol", fields.asset("sub_accounts.symbol")?)?
                .to_string(),
            initial_deposit: fields.amount("sub_accounts.initial_deposit")?.map(Amount),
            event_time: fields.time("sub_accounts.event_time")?,
            info: Some(fields.info()?),
        })
    }

    fn refuses_unknown(&self) -> bool {
        true
    }
}

impl FromFields for NewTrading {
    fn from_fields(fields: &mut Fields) -> Result<Self> {
        let name = required("name", fields.text("name", 1, NAME_LENGTH_MAX)?)?;
        let r#type = required("type", fields.one_of("type", &NewTradingType::NAMES)?)?;
        let exchange_binding_id = fields.uuid("exchange_binding_id")?;
        if matches!(r#type, NewTradingType::Real) && exchange_binding_id.is_none() {
            return Err(Error::MissingField("exchange_binding_id"));
        }
        let credentials = credentials(fields, r#type, exchange_binding_id)?;
        let (api_key, api_secret, passphrase) = credentials
            .map(|given| {
                (
                    Some(given.api_key),
                    Some(given.api_secret),
                    given.passphrase,
                )
            })
            .unwrap_or_default();
        let info = Some(fields.info()?);
        let accounts = fields.objects("sub_accounts", SUB_ACCOUNTS_MAX)?;
        let sub_accounts = Some(
            accounts
                .into_iter()
                .map(Fields::read)
                .collect::<Result<_>>()?,
        );
        Ok(Self {
            name,
            r#type,
            exchange_binding_id,
            api_key: api_key.map(SecretInput),
            api_secret: api_secret.map(SecretInput),
            passphrase: passphrase.map(SecretInput),
            info,
            sub_accounts,
        })
    }

    fn refuses_unknown(&self) -> bool {
        self.sub_accounts
            .as_ref()
            .is_some_and(|accounts| !accounts.is_empty())
    }
}

/// The credentials of a type that names an exchange.
fn credentials(
    fields: &mut Fields,
    r#type: NewTradingType,
    binding: Option<Uuid>,
) -> Result<Option<Credentials>> {
    let given = GivenCredentials::take(fields)?;
    match (r#type.exchange(), given.any()) {
        (Some(_), _) if binding.is_some() => Err(Error::invalid(
            "exchange_binding_id",
            "cannot be given with a type that makes a binding of its own",
        )),
        (Some(exchange), _) => given.complete(exchange),
        // Not ignored: whoever sends credentials means them to be kept.
        (None, Some(field)) => Err(Error::invalid(
            field,
            "is only for the types binance, kraken, gate, coinbase and okx",
        )),
        (None, None) => Ok(None),
    }
}

impl NewTrading {
    /// Whether a binding is made with it.
    pub(super) fn makes_binding(&self) -> bool {
        self.r#type.exchange().is_some()
    }
}
