//! The Ed25519 keys of access tokens: read from files, made for a developer, published as JWKS.
//!
//! Owns: key files and key ids. Must not know: claims, requests.

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tiris_runtime::config::Environment;
use tiris_runtime::private_file;

/// What stands before the 32 secret bytes of an Ed25519 key in PKCS#8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// First line of a key that was made because none was there; what stands before a key in PEM is no part of it.
const MADE_FOR_DEVELOPMENT: &str = "Made for development, refused in production.\n";

/// All keys that are valid now.
pub struct Keys {
    signing: EncodingKey,
    signing_id: String,
    verifying: HashMap<String, DecodingKey>,
    jwks: Value,
}

impl Keys {
    /// Reads the files; the first one signs. A missing one is made when this is a developer's machine.
    pub fn load(files: &[PathBuf], environment: Environment) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        for file in files {
            if environment == Environment::Dev && !file.exists() {
                create(file, MADE_FOR_DEVELOPMENT)?;
            }
            keys.push(Key::read(file)?);
        }

        let published = keys.iter().map(Key::published).collect::<Vec<_>>();
        let verifying = keys
            .iter()
            .map(|key| {
                Ok((
                    key.id.clone(),
                    DecodingKey::from_ed_components(&key.public)?,
                ))
            })
            .collect::<anyhow::Result<_>>()?;
        let signing = keys.into_iter().next();
        let signing = signing.context("TIRIS_JWT_KEY_FILE names no file")?;

        Ok(Self {
            signing: signing.secret,
            signing_id: signing.id,
            verifying,
            jwks: json!({"keys": published}),
        })
    }

    /// The key that signs, with its id.
    pub(crate) fn signing(&self) -> (&EncodingKey, &str) {
        (&self.signing, &self.signing_id)
    }

    /// The key with this id, when it is one of ours.
    pub(crate) fn verifying(&self, id: &str) -> Option<&DecodingKey> {
        self.verifying.get(id)
    }

    /// The public keys as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> &Value {
        &self.jwks
    }
}

/// A key of a file.
struct Key {
    secret: EncodingKey,
    /// Its RFC 7638 thumbprint, in base64url.
    id: String,
    /// Its public part, in base64url.
    public: String,
}

impl Key {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let pem = std::fs::read(file)
            .with_context(|| format!("cannot read the key file {shown} (TIRIS_JWT_KEY_FILE)"))?;
        let secret = EncodingKey::from_ed_pem(&pem)
            .with_context(|| format!("{shown} holds no Ed25519 key in PKCS#8 PEM"))?;
        let AlgorithmParameters::OctetKeyPair(pair) =
            Jwk::from_encoding_key(&secret, Algorithm::EdDSA)?.algorithm
        else {
            bail!("the key in {shown} is no Ed25519 key");
        };

        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, pair.x);
        Ok(Self {
            secret,
            id: URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)),
            public: pair.x,
        })
    }

    fn published(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": self.public})
    }
}

/// Makes a new key file, readable by its owner only, and answers the key's id. A file that is there is left alone.
pub fn make(file: &Path) -> anyhow::Result<String> {
    ensure!(
        !file.exists(),
        "{} is there already: a key is never replaced",
        file.display()
    );
    create(file, "")?;
    let keys = Keys::load(&[file.to_owned()], Environment::Production)?;
    Ok(keys.signing_id)
}

/// Whether [`Keys::load`] made this file; one that cannot be read is told when it is loaded.
pub(crate) fn is_for_development(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|pem| pem.starts_with(MADE_FOR_DEVELOPMENT.as_bytes()))
}

/// Makes a key file that begins with `label`, unless another process has made it meanwhile: then both use that one.
fn create(file: &Path, label: &str) -> anyhow::Result<()> {
    let secret: [u8; 32] = rand::random();
    let der = STANDARD.encode([PKCS8_PREFIX.as_slice(), &secret].concat());
    let pem = format!("{label}-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    private_file::create(file, pem.as_bytes())
        .with_context(|| format!("cannot make the key file {}", file.display()))?;
    tracing::info!(file = %file.display(), "made a key for access tokens");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("tiris-keys-{:016x}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_missing_key_is_made_once_and_stays() {
        let folder = folder();
        let file = folder.join("deep/jwt.pem");
        let first = Keys::load(std::slice::from_ref(&file), Environment::Dev).expect("made");
        let again = Keys::load(std::slice::from_ref(&file), Environment::Dev).expect("read");
        assert_eq!(first.signing_id, again.signing_id);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn production_makes_no_key_and_says_which_file_is_missing() {
        let file = std::env::temp_dir().join("tiris-no-such-key.pem");
        let error = Keys::load(std::slice::from_ref(&file), Environment::Production)
            .err()
            .expect("refused");
        assert!(
            format!("{error:#}").contains("tiris-no-such-key.pem"),
            "{error:#}"
        );
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused() {
        let folder = folder();
        let file = folder.join("jwt.pem");
        std::fs::write(&file, "hello").expect("written");
        assert!(Keys::load(&[file], Environment::Dev).is_err());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn the_first_key_signs_and_all_are_published() {
        let folder = folder();
        let files = [folder.join("a.pem"), folder.join("b.pem")];
        let keys = Keys::load(&files, Environment::Dev).expect("made");
        let published = keys.jwks()["keys"].as_array().expect("a list");
        assert_eq!(published.len(), 2);
        assert_eq!(published[0]["kid"], keys.signing().1);
        assert!(published.iter().all(|key| key.get("d").is_none()));
        std::fs::remove_dir_all(folder).expect("removed");
    }
}
