//! The keys a provider signs its id tokens with, fetched when needed and remembered.
//!
//! Owns: the cache and how often it is renewed. Must not know: tokens.

use super::http;
use crate::outgoing::{Answered, Outgoing};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use reqwest::Url;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tiris_store::error::{Error, Result, SignInProblem};
use tokio::sync::Mutex;

/// How long keys are trusted without asking again: a key that was taken back must stop working.
const TRUSTED_FOR: Duration = Duration::from_secs(3_600);
/// Shortest time between two questions, whatever ids strangers put into tokens.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Keys by their ids.
pub(super) struct Jwks {
    provider: &'static str,
    url: Url,
    http: Outgoing,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

impl Cache {
    /// A token may leave its key unnamed when there is only one, as OpenID Connect has it.
    fn trusted(&self, id: Option<&str>, now: Instant) -> Option<&DecodingKey> {
        let key = match id {
            Some(id) => self.keys.get(id),
            None => self.keys.values().next().filter(|_| self.keys.len() == 1),
        };
        key.filter(|_| self.is_fresh(now))
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.fetched
            .is_some_and(|fetched| now.duration_since(fetched) < TRUSTED_FOR)
    }

    fn may_ask(&self, now: Instant) -> bool {
        self.asked
            .is_none_or(|asked| now.duration_since(asked) >= ASKED_EVERY)
    }
}

impl Jwks {
    pub(super) fn new(provider: &'static str, url: Url, http: Outgoing) -> Self {
        Self {
            provider,
            url,
            http,
            cache: Mutex::default(),
        }
    }

    /// The key with this id, or the only one. Who asks meanwhile waits for the same answer.
    pub(super) async fn key(&self, id: Option<&str>, now: Instant) -> Result<DecodingKey> {
        let mut cache = self.cache.lock().await;
        if let Some(key) = cache.trusted(id, now) {
            return Ok(key.clone());
        }

        if cache.may_ask(now) {
            cache.asked = Some(now);
            cache.keys = self.fetch().await?;
            cache.fetched = Some(now);
        }

        match cache.trusted(id, now) {
            Some(key) => Ok(key.clone()),
            None if cache.is_fresh(now) => {
                let why = "the id_token is signed by an unknown key";
                Err(Error::sign_in(SignInProblem::Provider, why))
            }
            // The last question failed: the token may well be right.
            None => Err(self.unavailable("its keys are not known now")),
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>> {
        let Answered { status, body } = http::get(&self.http, self.provider, &self.url).await?;
        if !status.is_success() {
            return Err(self.unavailable(format!("its keys: it answers {status}")));
        }

        let set: JwkSet = serde_json::from_slice(&body).map_err(|error| self.unavailable(error))?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }

    fn unavailable(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Unavailable {
            what: self.provider,
            source: source.into(),
        }
    }
}

/// An RSA key for signatures, with its id, which may be empty when the provider has only one.
fn usable(key: &Jwk) -> Option<(String, DecodingKey)> {
    let common = &key.common;
    let signs = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature));
    let rs256 = matches!(common.key_algorithm, None | Some(KeyAlgorithm::RS256));
    let rsa = matches!(key.algorithm, AlgorithmParameters::RSA(_));
    let id = common.key_id.clone().unwrap_or_default();
    (signs && rs256 && rsa).then_some((id, DecodingKey::from_jwk(key).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cannot_make_us_ask_more_often_than_allowed() {
        let now = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.may_ask(now));
        cache.asked = Some(now);
        assert!(!cache.may_ask(now + ASKED_EVERY - Duration::from_millis(1)));
        assert!(cache.may_ask(now + ASKED_EVERY));
    }

    #[test]
    fn keys_are_trusted_for_a_time_only() {
        let now = Instant::now();
        let keys = HashMap::from([("a".to_owned(), DecodingKey::from_secret(b"x"))]);
        let cache = Cache {
            keys,
            fetched: Some(now),
            asked: Some(now),
        };
        assert!(
            cache
                .trusted(Some("a"), now + TRUSTED_FOR - Duration::from_secs(1))
                .is_some()
        );
        assert!(cache.trusted(Some("a"), now + TRUSTED_FOR).is_none());
        assert!(cache.trusted(Some("b"), now).is_none());
    }

    #[test]
    fn a_key_may_be_left_unnamed_only_when_there_is_no_other() {
        let now = Instant::now();
        let key = |id: &str| (id.to_owned(), DecodingKey::from_secret(b"x"));
        let mut cache = Cache {
            keys: HashMap::from([key("a")]),
            fetched: Some(now),
            asked: None,
        };
        assert!(cache.trusted(None, now).is_some());
        cache.keys.extend([key("b")]);
        assert!(cache.trusted(None, now).is_none());
    }
}
