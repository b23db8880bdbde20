//! Makes a trading with its sub-accounts and their initial deposits in one transaction.

use crate::fields::{Fields, FromFields, required};
use crate::ledger::{self, Work};
use crate::resource::NAME_LENGTH_MAX;
use crate::resource::sub_accounts::{NewAccount, insert_account};
use crate::value::{Amount, Info};
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_shared::error::{Error, Result};
use tiris_shared::ids::{AccountId, TradingId, UserId, new_id};
use tiris_shared::money::{Money, Number};
use uuid::{Uuid, uuid};

/// Sub-accounts that can be made together with a trading.
const SUB_ACCOUNTS_MAX: usize = 100;
/// Types of the requirement documents that make a private binding from credentials.
const CREDENTIAL_TYPES: [&str; 5] = ["binance", "kraken", "gate", "coinbase", "okx"];

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
}

impl NewTradingType {
    const NAMES: [(&'static str, Self); 4] = [
        ("real", Self::Real),
        ("paper", Self::Paper),
        ("backtest", Self::Backtest),
        ("virtual", Self::Virtual),
    ];

    const fn stored(self) -> &'static str {
        match self {
            Self::Real => "real",
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
        let r#type = trading_type(fields)?;
        let exchange_binding_id = fields.uuid("exchange_binding_id")?;
        if matches!(r#type, NewTradingType::Real) && exchange_binding_id.is_none() {
            return Err(Error::MissingField("exchange_binding_id"));
        }
        let info = Some(fields.info()?);
        let accounts = fields.objects("sub_accounts", SUB_ACCOUNTS_MAX)?;
        let sub_accounts = Some(accounts.into_iter().map(Fields::read).collect::<Result<_>>()?);
        Ok(Self { name, r#type, exchange_binding_id, info, sub_accounts })
    }

    fn refuses_unknown(&self) -> bool {
        self.sub_accounts.as_ref().is_some_and(|accounts| !accounts.is_empty())
    }
}

fn trading_type(fields: &mut Fields) -> Result<NewTradingType> {
    let value = required("type", fields.take("type"))?;
    if value.as_str().is_some_and(|text| CREDENTIAL_TYPES.contains(&text)) {
        return Err(Error::invalid(
            "type",
            "must be real, paper or backtest: tradings cannot be made from exchange credentials yet",
        ));
    }
    let mut again = Fields::new([("type".to_owned(), value)].into_iter().collect());
    required("type", again.one_of("type", &NewTradingType::NAMES)?)
}

/// The transaction that makes a trading.
pub(super) struct TradingWork {
    pub(super) user: UserId,
    pub(super) id: TradingId,
    pub(super) new: NewTrading,
}

impl Work for TradingWork {
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

impl TradingWork {
    async fn insert(&self, connection: &mut PgConnection) -> Result<()> {
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
        let info = Value::Object(self.new.info.clone().unwrap_or_default().0);
        sqlx::query(
            "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type, info) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.id)
        .bind(self.user)
        .bind(self.new.exchange_binding_id)
        .bind(&self.new.name)
        .bind(self.new.r#type.stored())
        .bind(info)
        .execute(connection)
        .await?;
        Ok(())
    }
}
