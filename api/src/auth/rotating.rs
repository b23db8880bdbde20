//! Refresh tokens that are each used once.
//!
//! A token names its session and its number within it, and is authenticated by a key of the service. So the database stores
//! only the number of the current one, an old one is recognized however long ago it was replaced, and its successor can be
//! returned again.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::crypto::Fingerprints;
use uuid::Uuid;

const SESSION_BYTES: usize = 16;
const GENERATION_BYTES: usize = 4;

/// A refresh token without its secret part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RotatingToken {
    pub(crate) session: Uuid,
    /// Number of the token within its session, from 0.
    pub(crate) generation: i32,
}

impl RotatingToken {
    /// Returns the token as the client gets it.
    pub(crate) fn seal(self, fingerprints: &Fingerprints) -> SecretString {
        let secret = fingerprints.of_refresh_token(self.session, self.generation);
        let bytes = [
            self.session.as_bytes().as_slice(),
            &self.generation.to_be_bytes(),
            &secret,
        ];
        URL_SAFE_NO_PAD.encode(bytes.concat()).into()
    }

    /// Returns a token that a client sends; `None` when the service did not make it, or it is of the kind that stays.
    pub(crate) fn open(fingerprints: &Fingerprints, token: &SecretString) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.expose_secret()).ok()?;
        let (session, rest) = bytes.split_first_chunk::<SESSION_BYTES>()?;
        let (generation, secret) = rest.split_first_chunk::<GENERATION_BYTES>()?;

        let session = Uuid::from_bytes(*session);
        let generation = i32::from_be_bytes(*generation);
        fingerprints
            .is_of_refresh_token(session, generation, secret)
            .then_some(Self {
                session,
                generation,
            })
    }
}
