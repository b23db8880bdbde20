//! The Ed25519 keys of access tokens: their files, their ids and their JWKS.

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tiris_runtime::config::Environment;
use tiris_runtime::private_file;

/// The bytes before the 32 secret bytes of an Ed25519 key in PKCS#8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// First line of a generated development key. Text before a key in PEM is not part of the key.
const DEVELOPMENT_LABEL: &str = "Made for development, refused in production.\n";

/// All valid keys.
pub struct Keys {
    signing: EncodingKey,
    signing_id: String,
    verifying: HashMap<String, DecodingKey>,
    jwks: Value,
}

impl Keys {
    /// Reads the key files, of which the first one signs. In development, missing files are generated.
    pub fn load(files: &[PathBuf], environment: Environment) -> anyhow::Result<Self> {
        let mut signing = None;
        let mut verifying = HashMap::new();
        let mut published = Vec::new();
        for file in files {
            if environment == Environment::Dev && !file.exists() {
                create(file, DEVELOPMENT_LABEL)?;
            }
            let secret = read(file)?;
            let mut jwk = Jwk::from_encoding_key(&secret, Algorithm::EdDSA)
                .with_context(|| format!("{} holds no Ed25519 key", file.display()))?;
            let id = jwk.thumbprint(ThumbprintHash::SHA256)?;

            jwk.common.key_id = Some(id.clone());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            verifying.insert(id.clone(), DecodingKey::from_jwk(&jwk)?);
            published.push(jwk);
            signing.get_or_insert((secret, id));
        }
        let (signing, signing_id) = signing
            .context("TIRIS_JWT_KEY_FILE names no file: create one with `tiris-api keys new`")?;

        Ok(Self {
            signing,
            signing_id,
            verifying,
            jwks: serde_json::to_value(JwkSet { keys: published })?,
        })
    }

    /// Returns the signing key and its id.
    pub(crate) fn signing(&self) -> (&EncodingKey, &str) {
        (&self.signing, &self.signing_id)
    }

    /// Returns the verifying key with this id.
    pub(crate) fn verifying(&self, id: &str) -> Option<&DecodingKey> {
        self.verifying.get(id)
    }

    /// Returns the public keys as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> &Value {
        &self.jwks
    }
}

fn read(file: &Path) -> anyhow::Result<EncodingKey> {
    let shown = file.display();
    let pem = std::fs::read(file)
        .with_context(|| format!("cannot read the key file {shown} (TIRIS_JWT_KEY_FILE)"))?;
    EncodingKey::from_ed_pem(&pem)
        .with_context(|| format!("{shown} holds no Ed25519 key in PKCS#8 PEM"))
}

/// Generates a key file that only its owner can read, and returns the key id. Fails when the file exists.
pub fn generate(file: &Path) -> anyhow::Result<String> {
    ensure!(
        !file.exists(),
        "{} exists: a key is never replaced; choose another file",
        file.display()
    );
    create(file, "")?;
    let keys = Keys::load(&[file.to_owned()], Environment::Production)?;
    Ok(keys.signing_id)
}

/// Returns whether the file is a generated development key. [`Keys::load`] reports unreadable files.
pub(crate) fn is_for_development(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|pem| pem.starts_with(DEVELOPMENT_LABEL.as_bytes()))
}

/// Creates a key file that begins with `label`, unless another process has created it in the meantime: both use that one.
fn create(file: &Path, label: &str) -> anyhow::Result<()> {
    let secret: [u8; 32] = rand::random();
    let der = STANDARD.encode([PKCS8_PREFIX.as_slice(), &secret].concat());
    let pem = format!("{label}-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
    private_file::create(file, pem.as_bytes())
        .with_context(|| format!("cannot create the key file {}", file.display()))?;
    tracing::info!(file = %file.display(), "generated a key for access tokens");
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
    fn generates_a_missing_key_once() {
        let folder = folder();
        let file = folder.join("deep/jwt.pem");
        let first = Keys::load(std::slice::from_ref(&file), Environment::Dev).expect("made");
        let again = Keys::load(std::slice::from_ref(&file), Environment::Dev).expect("read");
        assert_eq!(first.signing_id, again.signing_id);
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn production_generates_no_key_and_names_the_missing_file() {
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
    fn rejects_a_file_without_a_key() {
        let folder = folder();
        let file = folder.join("jwt.pem");
        std::fs::write(&file, "hello").expect("written");
        assert!(Keys::load(&[file], Environment::Dev).is_err());
        std::fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn signs_with_the_first_key_and_publishes_all() {
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
