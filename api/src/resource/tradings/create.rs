//! Makes a trading with its sub-accounts and their initial deposits in one transaction.

use crate::fields::{Fields, FromFields, required};
use crate::ledger::{self, Work};
use crate::resource::NAME_LENGTH_MAX;
use crate::resource::exchange_bindings::{Credentials, ExchangeType, GivenCredentials, Insert};
use crate::resource::sub_accounts::{NewAccount, insert_account};
use crate::value::{Amount, Info, SecretInput};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_shared::crypto::Secrets;
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::{AccountId, BindingId, TradingId, UserId, new_id};
use tiris_shared::money::{Money, Number};
use tiris_shared::store::audit::Actor;
use tiris_shared::store::users;
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

    const fn stored(self) -> &'static str {
        match self {
            Self::Real | Self::Binance | Self::Kraken | Self::Gate | Self::Coinbase | Self::Okx => "real",
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
    name: String,
    r#type: NewTradingType,
    /// A binding of yours or a public one; required for `real`
    exchange_binding_id: Option<Uuid>,
    /// Required for a type that names an exchange, and only there: 1 to 256 visible ASCII characters without `*`
    api_key: Option<SecretInput>,
    /// Required for a type that names an exchange, and only there: 1 to 4096 characters
    api_secret: Option<SecretInput>,
    /// For a type that names an exchange which asks for one, 1 to 256 characters
    passphrase: Option<SecretInput>,
    /// Free JSON, at most 16 KiB
    info: Option<Info>,
    /// Sub-accounts to be made with it
    #[oai(validator(max_items = 100))]
    sub_accounts: Option<Vec<NewTradingAccount>>,
}

/// A sub-account to be made together with its trading.
#[derive(Object)]
pub(super) struct NewTradingAccount {
    /// Unique in the trading
    #[oai(validator(min_length = 1, max_length = 128))]
    name: String,
    /// Symbol of the asset, such as `BTC`
    #[oai(validator(min_length = 1, max_length = 20))]
    symbol: String,
    /// Booked as a deposit when it is not zero
    initial_deposit: Option<Amount>,
    /// Free JSON, at most 16 KiB
    info: Option<Info>,
}

impl Example for NewTrading {
    fn example() -> Self {
        let account = |name: &str, symbol: &str, deposit: Number| NewTradingAccount {
            name: name.to_owned(),
            symbol: symbol.to_owned(),
            initial_deposit: Some(Amount(deposit)),
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
            name: required("sub_accounts.name", fields.text("sub_accounts.name", 1, NAME_LENGTH_MAX)?)?,
            symbol: required("sub_accounts.symbol", fields.asset("sub_accounts.symbol")?)?.to_string(),
            initial_deposit: fields.amount("sub_accounts.initial_deposit")?.map(Amount),
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
            .map(|given| (Some(given.api_key), Some(given.api_secret), given.passphrase))
            .unwrap_or_default();
        let info = Some(fields.info()?);
        let accounts = fields.objects("sub_accounts", SUB_ACCOUNTS_MAX)?;
        let sub_accounts = Some(accounts.into_iter().map(Fields::read).collect::<Result<_>>()?);
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
        self.sub_accounts.as_ref().is_some_and(|accounts| !accounts.is_empty())
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
        (None, Some(field)) => {
            Err(Error::invalid(field, "is only for the types binance, kraken, gate, coinbase and okx"))
        }
        (None, None) => Ok(None),
    }
}

impl NewTrading {
    /// Whether a binding is made with it.
    pub(super) fn makes_binding(&self) -> bool {
        self.r#type.exchange().is_some()
    }
}

/// The transaction that makes a trading.
pub(super) struct TradingWork<'a> {
    pub(super) user: UserId,
    pub(super) id: TradingId,
    /// The binding, when one is made with it.
    pub(super) binding: BindingId,
    pub(super) new: NewTrading,
    pub(super) secrets: &'a Secrets,
    pub(super) actor: &'a Actor,
}

impl Work for TradingWork<'_> {
    type Output = ();

    async fn run(&self, connection: &mut PgConnection) -> Result<()> {
        self.insert(connection).await?;
        let mut deposits = Vec::new();
        for account in self.new.sub_accounts.iter().flatten() {
            let id = AccountId(new_id());
            let account = NewAccount {
                trading: self.id,
                name: &account.name,
                symbol: &account.symbol,
                deposit: account.initial_deposit.as_ref().map(|amount| &amount.0),
                info: account.info.as_ref(),
            };
            insert_account(connection, self.user, id, &account).await?;
            deposits.extend(account.deposit_entry(self.user, id)?);
        }
        if !deposits.is_empty() {
            let (timestamp, _) = ledger::book(connection, &deposits).await?;
            ledger::finish(connection, timestamp).await?;
        }
        Ok(())
    }
}

impl TradingWork<'_> {
    /// Makes the private binding of a trading that comes with credentials.
    async fn insert_binding(&self, connection: &mut PgConnection) -> Result<Option<BindingId>> {
        let new = &self.new;
        let Some(exchange_type) = new.r#type.exchange() else { return Ok(None) };
        let credentials = new.api_key.clone().zip(new.api_secret.clone()).map(|(key, secret)| Credentials {
            api_key: key.0,
            api_secret: secret.0,
            passphrase: new.passphrase.clone().map(|passphrase| passphrase.0),
        });
        let insert = Insert {
            user: self.user,
            name: &new.name,
            exchange_type,
            credentials: credentials.as_ref(),
            info: &Info::default(),
        };
        insert.run(connection, self.binding, self.secrets, self.actor).await?;
        Ok(Some(self.binding))
    }

    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
        users::lock_active(connection, self.user).await?;
        if let Some(binding) = self.new.exchange_binding_id {
            // Locked, so that it cannot be deleted before this trading uses it.
            let usable: Option<Uuid> = sqlx::query_scalar(
                "SELECT id FROM exchange_bindings \
                 WHERE id = $1 AND (user_id = $2 OR kind = 'public') AND status <> 'deleted' FOR KEY SHARE",
            )
            .bind(binding)
            .bind(self.user)
            .fetch_optional(&mut *connection)
            .await?;
            usable.ok_or(Error::NotFound("exchange binding"))?;
        }
        let made = self.insert_binding(connection).await?;
        let info = Value::Object(self.new.info.clone().unwrap_or_default().0);
        sqlx::query(
            "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type, info) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.id)
        .bind(self.user)
        .bind(made.map(|binding| binding.0).or(self.new.exchange_binding_id))
        .bind(&self.new.name)
        .bind(self.new.r#type.stored())
        .bind(info)
        .execute(connection)
        .await?;
        Ok(())
    }
}
