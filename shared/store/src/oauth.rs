//! Logins under way, and people as identity providers know them.
//!
//! Owns: the rows of `oauth_states` and `oauth_identities`. Must not know: how a provider is asked. Tokens of
//! providers are not stored: nothing needs them after signing in.

use crate::error::Result;
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeSet;
use tiris_domain::ids::{TradingId, UserId, new_id};
use tiris_domain::states::IdentityProvider;
use uuid::Uuid;

/// Minutes a login may take.
const LOGIN_MINUTES: i32 = 10;
/// Expired logins that are removed with each new one.
const REMOVED_AT_ONCE: i64 = 100;
/// Name of the trading everybody begins with.
const FIRST_TRADING: &str = "Paper trading";

/// A login that has begun and waits for the person to come back.
#[derive(Clone, FromRow)]
pub struct PendingLogin {
    /// Random text that comes back with the person.
    pub state: String,
    /// The provider.
    #[sqlx(try_from = "String")]
    pub provider: IdentityProvider,
    /// Proves to the provider that who exchanges the code also began the login.
    pub pkce_verifier: Option<String>,
    /// Comes back inside the id token.
    pub nonce: Option<String>,
    /// Where the person comes back to.
    pub redirect_uri: String,
    /// Hash of a secret the browser keeps, when it sent one.
    pub login_challenge: Option<String>,
}

/// Keeps a login for ten minutes, and removes some that nobody came back from.
pub async fn begin(connection: &mut PgConnection, login: &PendingLogin) -> Result<()> {
    sqlx::query(
        "DELETE FROM oauth_states WHERE state IN \
         (SELECT state FROM oauth_states WHERE expires_at < now() LIMIT $1 FOR UPDATE SKIP LOCKED)",
    )
    .bind(REMOVED_AT_ONCE)
    .execute(&mut *connection)
    .await?;

    sqlx::query(
        "INSERT INTO oauth_states (state, provider, pkce_verifier, nonce, redirect_uri, login_challenge, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(mins => $7))",
    )
    .bind(&login.state)
    .bind(login.provider.as_str())
    .bind(&login.pkce_verifier)
    .bind(&login.nonce)
    .bind(&login.redirect_uri)
    .bind(&login.login_challenge)
    .bind(LOGIN_MINUTES)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct TakenLogin {
    #[sqlx(flatten)]
    login: PendingLogin,
    alive: bool,
}

/// Takes a login, which can be done once; `None` also when it has expired.
pub async fn take(connection: &mut PgConnection, state: &str) -> Result<Option<PendingLogin>> {
    let taken: Option<TakenLogin> = sqlx::query_as(
        "DELETE FROM oauth_states WHERE state = $1 \
         RETURNING state, provider, pkce_verifier, nonce, redirect_uri, login_challenge, expires_at > now() AS alive",
    )
    .bind(state)
    .fetch_optional(connection)
    .await?;

    Ok(taken.filter(|taken| taken.alive).map(|taken| taken.login))
}

/// A person as a provider describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub provider: IdentityProvider,
    /// What the provider calls the person, for ever.
    pub subject: String,
    /// At WeChat: the person as this app knows them.
    pub openid: Option<String>,
    /// At WeChat: the person as all apps of one owner know them.
    pub unionid: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Whether the provider knows that the address is the person's.
    pub email_verified: bool,
    /// Name in full.
    pub name: Option<String>,
    /// URL of a picture.
    pub avatar: Option<String>,
}

/// Lets others who sign in as the same person wait until this transaction ends, by whichever of their names they come.
pub async fn lock(connection: &mut PgConnection, identity: &Identity) -> Result<()> {
    let names = [
        Some(&identity.subject),
        identity.openid.as_ref(),
        identity.unionid.as_ref(),
    ];

    // Everybody in the same order, so that two who share two names do not wait for each other.
    for name in BTreeSet::from_iter(names.into_iter().flatten()) {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("oauth {} {name}", identity.provider))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct FoundIdentity {
    id: Uuid,
    #[sqlx(try_from = "Uuid")]
    user_id: UserId,
}

/// The user this person is, with what the provider has begun to tell since taken over.
pub async fn find(connection: &mut PgConnection, identity: &Identity) -> Result<Option<UserId>> {
    let found: Option<FoundIdentity> = sqlx::query_as(
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
    let Some(FoundIdentity { id, user_id }) = found else {
        return Ok(None);
    };

    // A union id, once known, stays the person's name when the provider leaves it out. An openid somebody else has is
    // left to them: the person was here twice before the provider told that it is one.
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
    Ok(Some(user_id))
}

/// Whether a user is somebody at this provider already.
pub async fn is_tied(
    connection: &mut PgConnection,
    user: UserId,
    provider: IdentityProvider,
) -> Result<bool> {
    let tied = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM oauth_identities WHERE user_id = $1 AND provider = $2)",
    )
    .bind(user.0)
    .bind(provider.as_str())
    .fetch_one(connection)
    .await?;
    Ok(tied)
}

/// Ties a person to a user.
pub async fn tie(connection: &mut PgConnection, user: UserId, identity: &Identity) -> Result<()> {
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

/// Makes the paper trading everybody begins with, on a public binding, the virtual exchange if there is one. Without any
/// it begins with none, as a paper trading may: that is no reason to turn somebody away.
pub async fn make_first_trading(connection: &mut PgConnection, user: UserId) -> Result<TradingId> {
    let id = TradingId(new_id());

    // Locked, so that it cannot be deleted before this trading uses it.
    let binding: Option<Uuid> = sqlx::query_scalar(
        "SELECT id FROM exchange_bindings WHERE kind = 'public' AND status <> 'deleted' \
         ORDER BY exchange_type = 'virtual' DESC, id LIMIT 1 FOR KEY SHARE",
    )
    .fetch_optional(&mut *connection)
    .await?;
    if binding.is_none() {
        tracing::warn!(user_id = %user, "the first trading has no exchange binding, because there is no public one");
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
