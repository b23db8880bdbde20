//! The keys that sign the id tokens of a provider, fetched on demand and cached.

use super::http::ProviderHttp;
use super::refused;
use crate::outgoing::CallResponse;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use reqwest::Url;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tiris_store::error::Result;
use tokio::sync::Mutex;

/// How long fetched keys are trusted: a withdrawn key must stop working.
const TRUSTED_FOR: Duration = Duration::from_secs(3_600);
/// Shortest time between two fetches, which tokens with invented key ids could cause.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Keys by their ids.
pub(super) struct Jwks {
    url: Url,
    http: ProviderHttp,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

impl Cache {
    /// Returns the cached key with this id. OpenID Connect allows a token without a key id when the provider has only
    /// one key.
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

    fn may_fetch(&self, now: Instant) -> bool {
        self.tried
            .is_none_or(|tried| now.duration_since(tried) >= FETCH_INTERVAL)
    }
}

impl Jwks {
    pub(super) fn new(url: Url, http: ProviderHttp) -> Self {
        Self {
            url,
            http,
            cache: Mutex::default(),
        }
    }

    /// Returns the key with this id, or the only one. Concurrent calls wait for the same fetch.
    pub(super) async fn key(&self, id: Option<&str>, now: Instant) -> Result<DecodingKey> {
        let mut cache = self.cache.lock().await;
        if let Some(key) = cache.trusted(id, now) {
            return Ok(key.clone());
        }

        if cache.may_fetch(now) {
            cache.tried = Some(now);
            cache.keys = self.fetch().await?;
            cache.fetched = Some(now);
        }

        match cache.trusted(id, now) {
            Some(key) => Ok(key.clone()),
            None if cache.is_fresh(now) => Err(refused("the id_token is signed by an unknown key")),
            // The last fetch failed, so the token may be valid.
            None => Err(self.http.unavailable("its keys cannot be fetched")),
        }
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>> {
        let CallResponse { status, body } = self.http.get(&self.url).await?;
        if !status.is_success() {
            let why = format!("the request for its keys returns {status}");
            return Err(self.http.unavailable(why));
        }

        let set: JwkSet =
            serde_json::from_slice(&body).map_err(|error| self.http.unavailable(error))?;
        Ok(set.keys.iter().filter_map(usable).collect())
    }
}

/// Returns an RSA signature key and its id, which may be empty when the provider has only one key.
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
    fn unknown_key_ids_cannot_force_frequent_fetches() {
        let now = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.may_fetch(now));
        cache.tried = Some(now);
        assert!(!cache.may_fetch(now + FETCH_INTERVAL - Duration::from_millis(1)));
        assert!(cache.may_fetch(now + FETCH_INTERVAL));
    }

    #[test]
    fn keys_expire() {
        let now = Instant::now();
        let keys = HashMap::from([("a".to_owned(), DecodingKey::from_secret(b"x"))]);
        let cache = Cache {
            keys,
            fetched: Some(now),
            tried: Some(now),
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
    fn a_token_without_key_id_needs_a_single_key() {
        let now = Instant::now();
        let key = |id: &str| (id.to_owned(), DecodingKey::from_secret(b"x"));
        let mut cache = Cache {
            keys: HashMap::from([key("a")]),
            fetched: Some(now),
            tried: None,
        };
        assert!(cache.trusted(None, now).is_some());
        cache.keys.extend([key("b")]);
        assert!(cache.trusted(None, now).is_none());
    }
}
