//! A trading to be made, as a request gives it.

use crate::routes::exchange_bindings::credentials::Credentials;
use crate::routes::exchange_bindings::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use crate::routes::prelude::*;
use crate::routes::sub_accounts::deposit_entry::InitialDeposit;
use tiris_domain::ids::{AccountId, BindingId, TradingId, UserId, new_id};
use tiris_domain::ledger::Asset;
use tiris_domain::money::Money;
use tiris_domain::states::{ExchangeType, TradingType};
use tiris_domain::value::{Amount, Info, Moment, Name};
use tiris_store::ledger::Entry;
use tiris_store::sub_accounts::NewSubAccount;
use uuid::uuid;

/// Sub-accounts that can be made together with a trading.
const SUB_ACCOUNTS_MAX: usize = 100;

/// Kind of a new trading.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
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
    /// The exchange whose credentials come with the trading.
    const fn exchange(self) -> Option<ExchangeType> {
        match self {
            Self::Real | Self::Paper | Self::Backtest | Self::Virtual => None,
            Self::Binance => Some(ExchangeType::Binance),
            Self::Kraken => Some(ExchangeType::Kraken),
            Self::Gate => Some(ExchangeType::Gate),
            Self::Coinbase => Some(ExchangeType::Coinbase),
            Self::Okx => Some(ExchangeType::Okx),
        }
    }
}

impl From<NewTradingType> for TradingType {
    fn from(kind: NewTradingType) -> Self {
        match kind {
            NewTradingType::Paper | NewTradingType::Virtual => Self::Paper,
            NewTradingType::Backtest => Self::Backtest,
            NewTradingType::Real
            | NewTradingType::Binance
            | NewTradingType::Kraken
            | NewTradingType::Gate
            | NewTradingType::Coinbase
            | NewTradingType::Okx => Self::Real,
        }
    }
}

/// A trading to be made.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewTrading")]
pub(super) struct TradingToMake {
    /// Unique among your living tradings
    pub(super) name: Field<Name>,
    pub(super) r#type: NewTradingType,
    /// A binding of yours or a public one; required for `real`
    pub(super) exchange_binding_id: Option<Field<BindingId>>,
    /// Required for a type that names an exchange, and only there: 1 to 256 visible ASCII characters without `*`
    api_key: Option<Field<ApiKey>>,
    /// Required for a type that names an exchange, and only there: 1 to 4096 characters
    api_secret: Option<Field<ApiSecret>>,
    /// For a type that names an exchange which asks for one, 1 to 256 characters
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON, at most 16 KiB
    pub(super) info: Option<Field<Info>>,
    /// Sub-accounts to be made with it
    #[oai(validator(max_items = 100))]
    sub_accounts: Option<Vec<AccountToMake>>,
    #[oai(skip)]
    #[serde(rename = "$unknown", default)]
    unknown: Unknown,
}

/// A sub-account to be made together with its trading.
#[derive(Object, Deserialize)]
#[oai(rename = "NewTradingAccount")]
#[serde(deny_unknown_fields)]
struct AccountToMake {
    /// Unique in the trading
    name: Field<Name>,
    /// Symbol of the asset, such as `BTC`
    symbol: Field<Asset>,
    /// Booked as a deposit when it is not zero
    initial_deposit: Option<Field<Amount>>,
    /// When the deposit happened, when that is not now: the beginning of a backtest
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for TradingToMake {
    fn example() -> Self {
        let account = |name, symbol, deposit: Money| AccountToMake {
            name: Field(Name::from_static(name)),
            symbol: Field(Asset::from_static(symbol)),
            initial_deposit: Some(Field(Amount(deposit.into()))),
            event_time: None,
            info: Some(Field::default()),
        };

        Self {
            name: Field(Name::from_static("ETH grid")),
            r#type: NewTradingType::Paper,
            exchange_binding_id: Some(Field(BindingId(uuid!(
                "01900000-0000-7000-8000-000000000001"
            )))),
            api_key: None,
            api_secret: None,
            passphrase: None,
            info: Some(Field::default()),
            sub_accounts: Some(vec![
                account("stock", "ETH", Money::ZERO),
                account("currency", "BTC", Money::ONE),
            ]),
            unknown: Unknown::default(),
        }
    }
}

/// The private binding that comes with a trading.
pub(super) struct NewBinding {
    pub(super) exchange: ExchangeType,
    pub(super) credentials: Option<Credentials>,
}

impl TradingToMake {
    /// Takes the credentials of a type that names an exchange, and checks what the fields mean together.
    pub(super) fn binding(&mut self) -> Result<Option<NewBinding>> {
        let accounts = self.sub_accounts.as_ref().map_or(0, Vec::len);
        if accounts > SUB_ACCOUNTS_MAX {
            return Err(Error::invalid(
                "sub_accounts",
                format!("may have at most {SUB_ACCOUNTS_MAX} items (given: {accounts})"),
            ));
        }
        if accounts > 0 {
            self.unknown.refuse()?;
        }
        if matches!(self.r#type, NewTradingType::Real) && self.exchange_binding_id.is_none() {
            return Err(Error::MissingField("exchange_binding_id".into()));
        }

        let given = GivenCredentials::new(
            self.api_key.take(),
            self.api_secret.take(),
            self.passphrase.take(),
        );
        match (self.r#type.exchange(), given.any()) {
            (Some(_), _) if self.exchange_binding_id.is_some() => Err(Error::invalid(
                "exchange_binding_id",
                "cannot be given with a type that makes a binding of its own",
            )),
            (Some(exchange), _) => Ok(Some(NewBinding {
                exchange,
                credentials: given.complete(exchange)?,
            })),
            // Not ignored: a client that sends credentials means them to be kept.
            (None, Some(field)) => Err(Error::invalid(
                field,
                "is only for the types binance, kraken, gate, coinbase and okx",
            )),
            (None, None) => Ok(None),
        }
    }

    /// The sub-accounts to insert, and the entries of what they start with.
    pub(super) fn accounts(
        &mut self,
        user: UserId,
        trading: TradingId,
    ) -> (Vec<NewSubAccount>, Vec<Entry>) {
        let mut accounts = Vec::new();
        let mut deposits = Vec::new();

        for wanted in self.sub_accounts.take().into_iter().flatten() {
            let account = NewSubAccount {
                id: AccountId(new_id()),
                user,
                trading,
                name: wanted.name.0,
                symbol: wanted.symbol.0,
                info: wanted.info.unwrap_or_default().0,
            };
            let deposit = wanted.initial_deposit.map(|amount| InitialDeposit {
                amount: amount.0,
                event_time: wanted.event_time.map(|time| time.0),
            });
            deposits.extend(deposit.and_then(|deposit| deposit.entry(&account)));
            accounts.push(account);
        }

        (accounts, deposits)
    }
}
