//! Pending logins, and identities of users at identity providers. Tokens of providers are not stored, because nothing
//! needs them after the sign-in.

use crate::error::Result;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeSet;
use tiris_domain::ids::{TradingId, UserId, new_id};
use tiris_domain::states::IdentityProvider;
use uuid::Uuid;

/// Lifetime of a pending login in minutes.
const LOGIN_MINUTES: i32 = 10;
/// Expired logins that are removed with each new one.
const REMOVED_AT_ONCE: i64 = 100;
/// Name of the first trading of a user.
const FIRST_TRADING: &str = "Paper trading";

/// A login that waits for the user to return from the provider.
#[derive(Clone, FromRow)]
pub struct PendingLogin {
    /// Random text that the provider returns with the user.
    pub state: String,
    /// The identity provider.
    #[sqlx(try_from = "String")]
    pub provider: IdentityProvider,
    /// PKCE code verifier.
    pub pkce_verifier: Option<String>,
    /// Returned inside the id token.
    pub nonce: Option<String>,
    /// The page that the provider redirects to.
    pub redirect_uri: String,
    /// Hash of a secret that the browser stores, if it sent one.
    pub login_challenge: Option<String>,
    /// Whether the refresh tokens of the session rotate.
    pub rotates: bool,
}

/// Stores a login for ten minutes, and removes some expired ones.
pub async fn begin(connection: &mut PgConnection, login: &PendingLogin) -> Result<()> {
    sqlx::query(
        "DELETE FROM oauth_states WHERE state IN \
         (SELECT state FROM oauth_states WHERE expires_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
    )
    .bind(REMOVED_AT_ONCE)
    .execute(&mut *connection)
    .await?;

    sqlx::query(
        "INSERT INTO oauth_states (state, provider, pkce_verifier, nonce, redirect_uri, login_challenge, rotates, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(mins => $8))",
    )
    .bind(&login.state)
    .bind(login.provider.as_str())
    .bind(&login.pkce_verifier)
    .bind(&login.nonce)
    .bind(&login.redirect_uri)
    .bind(&login.login_challenge)
    .bind(login.rotates)
    .bind(LOGIN_MINUTES)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes a login and returns it; `None` when it is unknown, used or expired.
pub async fn take(connection: &mut PgConnection, state: &str) -> Result<Option<PendingLogin>> {
    Ok(sqlx::query_as(
        "DELETE FROM oauth_states WHERE state = $1 AND expires_at > now() \
         RETURNING state, provider, pkce_verifier, nonce, redirect_uri, login_challenge, rotates",
    )
    .bind(state)
    .fetch_optional(connection)
    .await?)
}

/// A user as an identity provider describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The identity provider.
    pub provider: IdentityProvider,
    /// Permanent id of the user at the provider.
    pub subject: String,
    /// WeChat only: id of the user within this app.
    pub openid: Option<String>,
    /// WeChat only: id of the user within all apps of one owner.
    pub unionid: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the provider has verified the address.
    pub email_verified: bool,
    /// Full name.
    pub name: Option<String>,
    /// URL of a picture.
    pub avatar: Option<String>,
}

/// Makes other sign-ins by any of the ids of the identity wait until this transaction ends.
pub async fn lock(connection: &mut PgConnection, identity: &Identity) -> Result<()> {
    let names = [
        Some(&identity.subject),
        identity.openid.as_ref(),
        identity.unionid.as_ref(),
    ];

    // Always in the same order, so that two sign-ins that share two ids do not deadlock.
    for name in BTreeSet::from_iter(names.into_iter().flatten()) {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("oauth {} {name}", identity.provider))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Returns the user with an identity, and stores ids that the provider has added since.
pub async fn find(connection: &mut PgConnection, identity: &Identity) -> Result<Option<UserId>> {
    let found: Option<(Uuid, Uuid)> = sqlx::query_as(
        "SELECT id, user_id FROM oauth_identities \
         WHERE provider = $1 AND (subject = $2 OR unionid = $3 OR openid = $4) \
         ORDER BY subject = $2 DESC, unionid = $3 DESC NULLS LAST LIMIT 1",
    )
    .bind(identity.provider.as_str())
    .bind(&identity.subject)
    .bind(&identity.unionid)
    .bind(&identity.openid)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, user)) = found else {
        return Ok(None);
    };

    // A union id, once known, stays the subject when the provider leaves it out. An openid that belongs to another identity
    // stays there: the user signed up twice before the provider linked the two.
    sqlx::query(
        "UPDATE oauth_identities SET subject = CASE WHEN $4::text IS NULL THEN coalesce(unionid, $2) ELSE $2 END, \
         openid = CASE WHEN EXISTS (SELECT FROM oauth_identities o WHERE o.provider = $5 AND o.openid = $3 AND o.id <> $1) \
         THEN openid ELSE coalesce($3, openid) END, \
         unionid = coalesce($4, unionid), updated_at = now() WHERE id = $1",
    )
    .bind(id)
    .bind(&identity.subject)
    .bind(&identity.openid)
    .bind(&identity.unionid)
    .bind(identity.provider.as_str())
    .execute(connection)
    .await?;
    Ok(Some(UserId(user)))
}

/// Returns whether a user has an identity at a provider.
pub async fn is_linked(
    connection: &mut PgConnection,
    user: UserId,
    provider: IdentityProvider,
) -> Result<bool> {
    Ok(sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM oauth_identities WHERE user_id = $1 AND provider = $2)",
    )
    .bind(user.0)
    .bind(provider.as_str())
    .fetch_one(connection)
    .await?)
}

/// Links an identity to a user.
pub async fn link(connection: &mut PgConnection, user: UserId, identity: &Identity) -> Result<()> {
    sqlx::query(
        "INSERT INTO oauth_identities (id, user_id, provider, subject, openid, unionid) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(new_id())
    .bind(user.0)
    .bind(identity.provider.as_str())
    .bind(&identity.subject)
    .bind(&identity.openid)
    .bind(&identity.unionid)
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts the first trading of a user, a paper trading on a public exchange binding, preferably that of the virtual
/// exchange. Without any, the trading has no binding, so that the sign-up does not fail.
pub async fn insert_first_trading(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<TradingId> {
    let id = TradingId(new_id());
    // Locked, so that it cannot be deleted before this trading uses it.
    let binding: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM exchange_bindings WHERE kind = 'public' AND status <> 'deleted' \
         ORDER BY exchange_type = 'virtual' DESC, id LIMIT 1 FOR KEY SHARE",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if binding.is_none() {
        tracing::warn!(user_id = %user, "the first trading has no exchange binding, because no public one exists");
    }

    sqlx::query(
        "INSERT INTO tradings (id, user_id, exchange_binding_id, name, type) VALUES ($1, $2, $3, $4, 'paper')",
    )
    .bind(id.0)
    .bind(user.0)
    .bind(binding)
    .bind(FIRST_TRADING)
    .execute(connection)
    .await?;
    Ok(id)
}
