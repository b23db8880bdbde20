//! The keys that sign the id tokens of a provider, fetched on demand and cached.

use super::http::ProviderHttp;
use super::refused;
use crate::outgoing::CallResponse;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tiris_runtime::health::CheckResult;
use tiris_store::error::Result;

/// How long fetched keys are trusted: a withdrawn key must stop working.
const TRUSTED_FOR: Duration = Duration::from_secs(3_600);
/// Shortest time between two fetches, which tokens with invented key ids could cause.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// Older keys are fetched again in the background, so that no sign-in waits for it.
const RENEWED_AFTER: Duration = Duration::from_secs(2_700);

/// Keys by their ids.
pub(crate) struct Jwks {
    url: Url,
    http: ProviderHttp,
    cache: Mutex<Cache>,
    /// Held during a fetch.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cache {
    keys: HashMap<String, DecodingKey>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// A key set whose keys are read one by one, because a provider may publish a kind of key that is unknown here.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
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
        self.age(now).is_some_and(|age| age < TRUSTED_FOR)
    }

    /// Returns how long ago the keys were fetched; `None` when they never were.
    fn age(&self, now: Instant) -> Option<Duration> {
        self.fetched.map(|fetched| now.duration_since(fetched))
    }

    /// Reports whether the keys should be fetched although they may still be fresh.
    fn is_due(&self, now: Instant) -> bool {
        self.age(now).is_none_or(|age| age >= RENEWED_AFTER) && self.may_fetch(now)
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
            fetching: tokio::sync::Mutex::default(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key with this id, or the only one. Concurrent calls wait for the same fetch.
    pub(super) async fn key(&self, id: Option<&str>, now: Instant) -> Result<DecodingKey> {
        if let Some(key) = self.cache().trusted(id, now) {
            return Ok(key.clone());
        }

        self.refresh(now, |cache| cache.trusted(id, now).is_none())
            .await?;

        let cache = self.cache();
        match cache.trusted(id, now) {
            Some(key) => Ok(key.clone()),
            None if cache.is_fresh(now) => Err(refused("the id_token is signed by an unknown key")),
            // The last fetch failed, so the token may be valid.
            None => Err(self.http.unavailable("its keys cannot be fetched")),
        }
    }

    /// Reports whether the keys are fresh. Fetches them in the background when they are due, so that the check never waits.
    pub(crate) fn check(self: &Arc<Self>, now: Instant) -> CheckResult {
        let provider = self.http.provider;
        let cache = self.cache();
        if cache.is_due(now) {
            tokio::spawn(Arc::clone(self).renew(now));
        }

        match cache.age(now) {
            Some(age) if age < TRUSTED_FOR => Ok(format!(
                "the keys of {provider} were read {} min ago",
                age.as_secs() / 60
            )),
            _ => Err(format!(
                "the keys of {provider} were not read within the last hour"
            )),
        }
    }

    async fn renew(self: Arc<Self>, now: Instant) {
        if let Err(error) = self.refresh(now, |cache| cache.is_due(now)).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cannot read the keys of the identity provider");
        }
    }

    /// Fetches the keys if `is_needed` still holds after a fetch that is under way.
    async fn refresh(&self, now: Instant, is_needed: impl Fn(&Cache) -> bool) -> Result<()> {
        let _fetching = self.fetching.lock().await;
        {
            let mut cache = self.cache();
            if !is_needed(&cache) || !cache.may_fetch(now) {
                return Ok(());
            }
            cache.tried = Some(now);
        }

        let keys = self.fetch().await?;
        let mut cache = self.cache();
        cache.keys = keys;
        cache.fetched = Some(now);
        Ok(())
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>> {
        let CallResponse { status, body } = self.http.get(&self.url).await?;
        if !status.is_success() {
            let why = format!("the request for its keys returns {status}");
            return Err(self.http.unavailable(why));
        }

        usable_keys(&body).map_err(|error| self.http.unavailable(error))
    }
}

/// Returns the signature keys of a key set by their ids.
fn usable_keys(body: &[u8]) -> serde_json::Result<HashMap<String, DecodingKey>> {
    let set: KeySet = serde_json::from_slice(body)?;
    let keys = set.keys.into_iter().filter_map(|key| {
        let key = serde_json::from_value(key)
            .inspect_err(|error| tracing::debug!(%error, "skipped a key of an unknown kind"));
        usable(&key.ok()?)
    });
    Ok(keys.collect())
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

    #[test]
    fn a_key_of_an_unknown_kind_hides_no_other() {
        let set = br#"{"keys": [
            {"kty": "OKP", "crv": "X448", "kid": "new", "x": "AA"},
            {"kty": "LATTICE", "kid": "newer"},
            17,
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "ours", "n": "AQAB", "e": "AQAB"}
        ]}"#;

        let keys = usable_keys(set).expect("a key set");

        let ids: Vec<&String> = keys.keys().collect();
        assert_eq!(ids, ["ours"]);
    }

    #[test]
    fn keys_are_renewed_before_they_expire() {
        let now = Instant::now();
        let mut cache = Cache::default();
        assert!(cache.is_due(now), "never fetched");

        cache.fetched = Some(now);
        cache.tried = Some(now);

        assert!(!cache.is_due(now + RENEWED_AFTER - Duration::from_secs(1)));
        assert!(cache.is_due(now + RENEWED_AFTER));
        assert!(cache.is_fresh(now + RENEWED_AFTER));
    }
}
