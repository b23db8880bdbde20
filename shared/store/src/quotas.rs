//! Quotas: how many living tradings, sub-accounts and exchange bindings a user may have.

use crate::error::{Error, Result};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;

/// A kind of resource with a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Tradings that are not deleted.
    Tradings,
    /// Sub-accounts of all tradings that are not deleted.
    SubAccounts,
    /// Private exchange bindings that are not deleted.
    Bindings,
}

impl Quota {
    /// Returns the name of the resources.
    const fn name(self) -> &'static str {
        match self {
            Self::Tradings => "tradings",
            Self::SubAccounts => "sub-accounts",
            Self::Bindings => "exchange bindings",
        }
    }

    const fn statement(self) -> &'static str {
        match self {
            Self::Tradings => {
                "SELECT count(*) FROM tradings WHERE user_id = $1 AND status IN ('active', 'paused')"
            }
            Self::SubAccounts => {
                "SELECT count(*) FROM sub_accounts WHERE user_id = $1 AND deleted_at IS NULL"
            }
            Self::Bindings => {
                "SELECT count(*) FROM exchange_bindings WHERE user_id = $1 AND status <> 'deleted'"
            }
        }
    }

    /// Fails unless a user may have `new` resources more. The user must be locked by
    /// [`lock_active`](crate::users::lock_active), so that no other transaction adds any.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] with limit and count.
    pub async fn check(
        self,
        connection: &mut PgConnection,
        user: UserId,
        new: usize,
        limit: u32,
    ) -> Result<()> {
        if new == 0 {
            return Ok(());
        }

        let count: i64 = sqlx::query_scalar(self.statement())
            .bind(user.0)
            .fetch_one(connection)
            .await?;
        let new = i64::try_from(new).unwrap_or(i64::MAX);
        if count.saturating_add(new) <= i64::from(limit) {
            return Ok(());
        }

        Err(Error::QuotaExceeded {
            what: self.name(),
            limit,
            count,
        })
    }
}
