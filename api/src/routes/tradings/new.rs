//! The request that creates a trading.

use crate::routes::exchange_bindings::credentials::Credentials;
use crate::routes::exchange_bindings::given::{ApiKey, ApiSecret, GivenCredentials, Passphrase};
use crate::routes::exchange_bindings::in_info;
use crate::routes::prelude::*;
use crate::routes::sub_accounts::move_money::MoneyMove;
use tiris_domain::states::{ExchangeType, TradingType};
use tiris_store::ledger::Entry;
use tiris_store::sub_accounts::NewSubAccount;
use uuid::uuid;

/// Sub-accounts that can be created together with a trading.
const SUB_ACCOUNTS_MAX: usize = 100;

/// Type of a new trading.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum NewTradingType {
    /// Money at an exchange; needs `exchange_binding_id`
    Real,
    /// Current prices and simulated money
    Paper,
    /// Past prices and simulated money
    Backtest,
    /// Alias of `paper`
    Virtual,
    /// Real, with a new private binding for Binance
    Binance,
    /// Real, with a new private binding for Kraken
    Kraken,
    /// Real, with a new private binding for Gate.io
    Gate,
    /// Real, with a new private binding for Coinbase
    Coinbase,
    /// Real, with a new private binding for OKX
    Okx,
}

impl NewTradingType {
    /// Returns the exchange of the private binding that is created with the trading.
    const fn exchange(self) -> Option<ExchangeType> {
        match self {
            Self::Binance => Some(ExchangeType::Binance),
            Self::Kraken => Some(ExchangeType::Kraken),
            Self::Gate => Some(ExchangeType::Gate),
            Self::Coinbase => Some(ExchangeType::Coinbase),
            Self::Okx => Some(ExchangeType::Okx),
            Self::Real | Self::Paper | Self::Backtest | Self::Virtual => None,
        }
    }
}

impl From<NewTradingType> for TradingType {
    fn from(kind: NewTradingType) -> Self {
        match kind {
            NewTradingType::Paper | NewTradingType::Virtual => Self::Paper,
            NewTradingType::Backtest => Self::Backtest,
            _ => Self::Real,
        }
    }
}

/// A new trading.
#[derive(Object, Deserialize)]
#[oai(example, skip_serializing_if_is_none, rename = "NewTrading")]
pub(super) struct TradingRequest {
    /// Name, unique among your tradings that are not deleted
    pub(super) name: Field<Name>,
    /// Type of the trading
    pub(super) r#type: NewTradingType,
    /// Id of one of your exchange bindings or a public one; required for `real`, not allowed for a type that names an
    /// exchange
    pub(super) exchange_binding_id: Option<Field<BindingId>>,
    /// API key, 1 to 256 visible ASCII characters without `*`; required for a type that names an exchange, and only there
    api_key: Option<Field<ApiKey>>,
    /// API secret, 1 to 4096 characters; required for a type that names an exchange, and only there
    api_secret: Option<Field<ApiSecret>>,
    /// Passphrase of the API key, 1 to 256 characters, if the exchange issues one
    passphrase: Option<Field<Passphrase>>,
    /// Free JSON, at most 16 KiB; with a type that names an exchange, credentials in it are stored as such, encrypted
    pub(super) info: Option<Field<Info>>,
    /// Sub-accounts to create with the trading, at most 100
    #[oai(validator(max_items = 100))]
    sub_accounts: Option<Vec<AccountRequest>>,
    #[oai(skip)]
    #[serde(rename = "$unknown", default)]
    unknown: Unknown,
}

/// A sub-account that is created together with its trading.
#[derive(Object, Deserialize)]
#[oai(rename = "NewTradingAccount")]
#[serde(deny_unknown_fields)]
struct AccountRequest {
    /// Name, unique within the trading
    name: Field<Name>,
    /// Symbol of the asset it holds, such as `BTC`: letters, digits and marks of any script and `._:-+$@#&*!`; stored in
    /// upper case and NFC, whose 64 characters are the limit
    symbol: Field<Asset>,
    /// Opening balance in units of the asset, by default 0; a positive one is booked as a deposit
    initial_deposit: Option<Field<Amount>>,
    /// When the opening balance came in; by default now. A backtest gives its first simulated moment
    event_time: Option<Field<Moment>>,
    /// Free JSON, at most 16 KiB
    info: Option<Field<Info>>,
}

impl Example for TradingRequest {
    fn example() -> Self {
        let account = |name, symbol, deposit: Money| AccountRequest {
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

/// A private binding that is created together with its trading.
pub(super) struct BindingOfTrading {
    pub(super) exchange: ExchangeType,
    pub(super) credentials: Option<Credentials>,
}

impl TradingRequest {
    /// Checks the fields against each other and takes the credentials of a type that names an exchange.
    pub(super) fn binding(&mut self) -> Result<Option<BindingOfTrading>> {
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

        let mut given = GivenCredentials::new(
            self.api_key.take(),
            self.api_secret.take(),
            self.passphrase.take(),
        );
        if let (Some(_), Some(info)) = (self.r#type.exchange(), &mut self.info) {
            given = given.or(in_info::take(&mut info.0)?);
        }
        match (self.r#type.exchange(), given.any()) {
            (Some(_), _) if self.exchange_binding_id.is_some() => Err(Error::invalid(
                "exchange_binding_id",
                "cannot be given with a type that creates its own binding",
            )),
            (Some(exchange), _) => Ok(Some(BindingOfTrading {
                exchange,
                credentials: given.complete(exchange)?,
            })),
            // Ignoring credentials would let a client believe that they are stored.
            (None, Some(field)) => Err(Error::invalid(
                field,
                "is only allowed for the types binance, kraken, gate, coinbase and okx",
            )),
            (None, None) => Ok(None),
        }
    }

    /// Takes the sub-accounts to insert, with the entries of their first deposits.
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
            deposits.extend(MoneyMove::initial_deposit(
                wanted.initial_deposit,
                wanted.event_time,
                &account,
            ));
            accounts.push(account);
        }

        (accounts, deposits)
    }
}
