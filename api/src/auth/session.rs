//! Whether a token's session is alive and what its user may do, by the database, remembered for some seconds.
//!
//! Owns: the query and the cache. Must not know: HTTP.

use super::keys::Keys;
use super::token;
use chrono::Utc;
use moka::future::Cache;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_domain::ids::UserId;
use tiris_domain::states::{Role, UserStatus};
use tiris_store::error::{Error, Result};
use tiris_store::sessions;
use uuid::Uuid;

/// How long an answer is remembered; a revoked session must be noticed within ten seconds.
const REMEMBERED: Duration = Duration::from_secs(8);
/// How long loading it may take to be remembered: what was read longer ago says too little about now.
const LOADED_WITHIN: Duration = Duration::from_secs(1);
/// How long this process knows what it ended itself: longer than anything else is remembered or loaded.
const ENDED_KNOWN: Duration = Duration::from_secs(60);
/// How many tokens are remembered.
const REMEMBERED_TOKENS_MAX: u64 = 50_000;
/// How long an access token is valid.
const ACCESS_LIFETIME: chrono::Duration = chrono::Duration::hours(1);
/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// A session that is alive.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Who is signed in.
    pub(crate) user: UserId,
    /// Which sign-in it is.
    pub(crate) id: Uuid,
    /// What the user may do now.
    pub(crate) role: Role,
    expires: i64,
}

/// An access token, with the seconds it is valid for.
pub(crate) struct AccessToken {
    pub(crate) token: SecretString,
    pub(crate) expires_in: i64,
}

/// Why the session of a token we have signed is not alive. None comes back to life, so that it is remembered as well:
/// who sends such a token again and again costs the database nothing.
type Dead = &'static str;

/// Tells tokens of live sessions from others.
pub(crate) struct Sessions {
    keys: Arc<Keys>,
    pool: PgPool,
    known: Cache<[u8; 32], Session>,
    dead: Cache<[u8; 32], Dead>,
    ended: Cache<Uuid, ()>,
}

impl Sessions {
    pub(crate) fn new(keys: Arc<Keys>, pool: PgPool) -> Self {
        Self {
            keys,
            pool,
            known: cache(REMEMBERED),
            dead: cache(REMEMBERED),
            ended: cache(ENDED_KNOWN),
        }
    }

    /// The live session of a token. Verifying a signature and asking the database happen once in some seconds.
    pub(crate) async fn of_token(&self, token: &str) -> Result<Session> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::InvalidToken("it is too long"));
        }
        let key: [u8; 32] = Sha256::digest(token).into();
        if let Some(dead) = self.dead.get(&key).await {
            return Err(Error::InvalidToken(dead));
        }

        let session = match self.known.get(&key).await {
            Some(session) if !self.ended.contains_key(&session.id) => session,
            _ => self.load_and_remember(key, token).await?,
        };
        if session.expires <= Utc::now().timestamp() {
            return Err(Error::InvalidToken("it has expired"));
        }

        Ok(session)
    }

    async fn load_and_remember(&self, key: [u8; 32], token: &str) -> Result<Session> {
        let started = Instant::now();
        match self.load(token).await? {
            Ok(session) => {
                if started.elapsed() < LOADED_WITHIN {
                    self.known.insert(key, session.clone()).await;
                }
                Ok(session)
            }
            Err(dead) => {
                self.dead.insert(key, dead).await;
                Err(Error::InvalidToken(dead))
            }
        }
    }

    /// Forgets sessions that this process has just ended, also those that are being loaded now.
    pub(crate) async fn forget(&self, sessions: &[Uuid]) {
        for id in sessions {
            self.ended.insert(*id, ()).await;
        }
    }

    /// An access token for a session that has begun.
    pub(crate) fn issue(&self, user: UserId, session: Uuid) -> Result<AccessToken> {
        let token = token::issue(&self.keys, user, session, Utc::now(), ACCESS_LIFETIME)?;

        Ok(AccessToken {
            token: token.into(),
            expires_in: ACCESS_LIFETIME.num_seconds(),
        })
    }

    async fn load(&self, token: &str) -> Result<std::result::Result<Session, Dead>> {
        let claims = token::verify(&self.keys, token)?;
        let found = sessions::find(&self.pool, claims.sub, claims.sid).await?;
        let Some(found) = found else {
            return Ok(Err("its session does not exist"));
        };

        // Disabling a user also ends the sessions: that the user is disabled says more.
        if found.status == UserStatus::Disabled {
            return Err(Error::AccountDisabled);
        }
        if !found.alive || found.status != UserStatus::Active {
            return Ok(Err("its session has ended"));
        }
        Ok(Ok(Session {
            user: claims.sub,
            id: claims.sid,
            role: found.role,
            expires: claims.exp,
        }))
    }
}

fn cache<K, V>(remembered: Duration) -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(REMEMBERED_TOKENS_MAX)
        .time_to_live(remembered)
        .build()
}
