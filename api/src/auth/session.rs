//! Live sessions of access tokens: read from the database and cached for some seconds.

use super::keys::Keys;
use super::token;
use chrono::Utc;
use moka::future::Cache;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_domain::ids::UserId;
use tiris_domain::states::{Role, UserStatus};
use tiris_store::error::{Error, Result};
use tiris_store::race::retried;
use tiris_store::sessions::{self, SessionState};
use uuid::Uuid;

/// Lifetime of a cached session: a revoked session must be noticed within ten seconds.
const CACHED: Duration = Duration::from_secs(8);
/// Longest load whose result is cached, because a slower one may be stale already.
const LOADED_WITHIN: Duration = Duration::from_secs(1);
/// How long this process remembers sessions that it ended itself: longer than anything is cached or loaded.
const ENDED_CACHED: Duration = Duration::from_secs(60);
const CACHED_TOKENS_MAX: u64 = 50_000;
const ACCESS_LIFETIME: chrono::Duration = chrono::Duration::hours(1);
/// Longest accepted token, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// A live session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: UserId,
    pub(crate) id: Uuid,
    pub(crate) role: Role,
    expires: i64,
}

/// An access token and its lifetime in seconds.
pub(crate) struct AccessToken {
    pub(crate) token: SecretString,
    pub(crate) expires_in: i64,
}

/// A session, or why the session of a valid token is dead. A dead session never revives, so it is cached as well and
/// repeated requests with its token cost the database nothing.
type Loaded = std::result::Result<Session, Dead>;

/// Why a session is dead.
#[derive(Clone, Copy, Debug)]
enum Dead {
    /// It ended by itself, or its user ended it.
    Ended(&'static str),
    /// It ended because its user was disabled.
    Disabled,
}

impl From<Dead> for Error {
    fn from(dead: Dead) -> Self {
        match dead {
            Dead::Ended(why) => Self::InvalidToken(why),
            Dead::Disabled => Self::AccountDisabled,
        }
    }
}

/// Finds the live sessions of tokens.
pub(crate) struct Sessions {
    keys: Arc<Keys>,
    pool: PgPool,
    loaded: Cache<[u8; 32], Loaded>,
    ended: Cache<Uuid, ()>,
}

impl Sessions {
    pub(crate) fn new(keys: Arc<Keys>, pool: PgPool) -> Self {
        Self {
            keys,
            pool,
            loaded: Cache::builder()
                .max_capacity(CACHED_TOKENS_MAX)
                .time_to_live(CACHED)
                .build(),
            ended: Cache::builder()
                .max_capacity(CACHED_TOKENS_MAX)
                .time_to_live(ENDED_CACHED)
                .build(),
        }
    }

    /// Returns the live session of a token. The signature and the database are checked once in some seconds.
    pub(crate) async fn of_token(&self, token: &str) -> Result<Session> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::InvalidToken("it is too long"));
        }
        let key: [u8; 32] = Sha256::digest(token).into();
        let loaded = match self.loaded.get(&key).await {
            Some(Ok(session)) if self.ended.contains_key(&session.id) => None,
            loaded => loaded,
        };
        let loaded = match loaded {
            Some(loaded) => loaded,
            None => self.load_and_cache(key, token).await?,
        };

        let session = loaded?;
        if session.expires <= Utc::now().timestamp() {
            return Err(Error::InvalidToken("it has expired"));
        }
        Ok(session)
    }

    async fn load_and_cache(&self, key: [u8; 32], token: &str) -> Result<Loaded> {
        let started = Instant::now();
        let loaded = self.load(token).await?;
        if loaded.is_err() || started.elapsed() < LOADED_WITHIN {
            self.loaded.insert(key, loaded.clone()).await;
        }
        Ok(loaded)
    }

    /// Marks sessions as ended, including those that are being loaded.
    pub(crate) async fn forget(&self, sessions: &[Uuid]) {
        for id in sessions {
            self.ended.insert(*id, ()).await;
        }
    }

    /// Reads all sessions again, such as after a user was enabled: what is cached may give an outdated reason.
    pub(crate) fn reread(&self) {
        self.loaded.invalidate_all();
    }

    /// Issues an access token for a session.
    pub(crate) fn issue(&self, user: UserId, session: Uuid) -> Result<AccessToken> {
        let token = token::issue(&self.keys, user, session, Utc::now(), ACCESS_LIFETIME)?;

        Ok(AccessToken {
            token: token.into(),
            expires_in: ACCESS_LIFETIME.num_seconds(),
        })
    }

    /// Stores the use of a session once in a while. The request does not depend on it.
    pub(crate) async fn note_use(&self, session: &SessionState) {
        if !session.alive || !session.is_use_outdated {
            return;
        }
        if let Err(error) = sessions::touch(&self.pool, session.id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "cannot store the use of a session"
            );
        }
    }

    async fn load(&self, token: &str) -> Result<Loaded> {
        let claims = token::verify(&self.keys, token)?;
        let found = retried(async || sessions::find(&self.pool, claims.sub, claims.sid).await);
        let Some(found) = found.await? else {
            return Ok(Err(Dead::Ended("its session does not exist")));
        };
        self.note_use(&found).await;

        // Disabling a user also ends the sessions, and is the better reason to report.
        if found.status == UserStatus::Disabled {
            return Ok(Err(Dead::Disabled));
        }
        if !found.alive || found.status != UserStatus::Active {
            return Ok(Err(Dead::Ended("its session has ended")));
        }
        Ok(Ok(Session {
            user: claims.sub,
            id: claims.sid,
            role: found.role,
            expires: claims.exp,
        }))
    }
}
