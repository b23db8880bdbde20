//! Invalid tokens.

use crate::world::{User, World, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Duration, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, decode_header, encode};
use serde_json::{Value, json};
use std::path::Path;
use tiris_api::auth::{keys::Keys, token};
use tiris_domain::ids::{UserId, new_id};
use tiris_runtime::config::Environment;

/// Forges tokens from the claims of a valid one.
struct Forger {
    claims: Value,
    header: Header,
    own: EncodingKey,
}

impl Forger {
    fn new(user: &User<'_>) -> Self {
        let now = Utc::now().timestamp();
        Self {
            claims: json!({"iss": "tiris", "aud": "tiris-api", "sub": user.id, "sid": user.session,
                           "iat": now, "exp": now + 600}),
            header: Header {
                kid: decode_header(&user.token).expect("a header").kid,
                ..Header::new(Algorithm::EdDSA)
            },
            own: pem(&user.world.key_file),
        }
    }

    fn signed_by(&self, header: &Header, key: &EncodingKey) -> String {
        encode(header, &self.claims, key).expect("a token")
    }

    fn with(&self, claim: &str, value: impl serde::Serialize) -> String {
        let mut claims = self.claims.clone();
        claims[claim] = json!(value);
        encode(&self.header, &claims, &self.own).expect("a token")
    }

    fn without(&self, claim: &str) -> String {
        let mut claims = self.claims.clone();
        claims
            .as_object_mut()
            .expect("an object")
            .shift_remove(claim);
        encode(&self.header, &claims, &self.own).expect("a token")
    }

    fn unsigned(&self, alg: &str) -> String {
        let header = json!({"typ": "JWT", "alg": alg, "kid": self.header.kid});
        let [header, claims] =
            [&header, &self.claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{header}.{claims}.")
    }

    /// Signs with HS256 and the public key as the secret.
    fn confused(&self, public: &Value) -> String {
        let header = Header {
            kid: self.header.kid.clone(),
            ..Header::new(Algorithm::HS256)
        };
        let secret = EncodingKey::from_secret(text(public).as_bytes());
        self.signed_by(&header, &secret)
    }
}

fn pem(file: &Path) -> EncodingKey {
    let bytes = std::fs::read(file).expect("a key");
    EncodingKey::from_ed_pem(&bytes).expect("a key")
}

/// Creates an ended session of the user.
async fn ended_session(world: &World, user: &User<'_>) -> uuid::Uuid {
    let ended = world.session(user.id).await;
    let revoke = "UPDATE sessions SET revoked_at = now() WHERE id = $1";
    world.run(revoke, ended).await;
    ended
}

/// Returns invalid tokens, each with its fault.
pub(crate) async fn wrong_tokens(user: &User<'_>) -> Vec<(&'static str, String)> {
    let world = user.world;
    let forger = Forger::new(user);
    let foreign = world.key_file.with_file_name("foreign.pem");
    let foreign_keys = Keys::load(std::slice::from_ref(&foreign), Environment::Dev).expect("keys");
    let hour = Duration::hours(1);
    let by_foreign_key = token::issue(&foreign_keys, user.id, user.session, Utc::now(), hour);
    let jwks = world.anonymous("/.well-known/jwks.json").await;
    let mut tampered = user.token.clone();
    tampered.replace_range(tampered.len() - 8.., "AAAAAAAA");
    let expired = world.token(user.id, user.session, Duration::seconds(-1));
    let no_key_id = forger.signed_by(&Header::new(Algorithm::EdDSA), &forger.own);
    let foreign_under_our_id = forger.signed_by(&forger.header, &pem(&foreign));
    let ended = ended_session(world, user).await;

    vec![
        ("garbage", "garbage".to_owned()),
        ("three parts of garbage", "a.b.c".to_owned()),
        ("longer than any token", "a".repeat(10_000)),
        ("expired", expired),
        ("a wrong signature", tampered),
        ("a foreign key", by_foreign_key.expect("a token")),
        ("a foreign key under our key id", foreign_under_our_id),
        ("alg none", forger.unsigned("none")),
        ("alg None", forger.unsigned("None")),
        ("EdDSA without a signature", forger.unsigned("EdDSA")),
        (
            "our public key as a secret",
            forger.confused(&jwks.body["keys"][0]["x"]),
        ),
        ("no key id", no_key_id),
        ("another audience", forger.with("aud", "other")),
        ("another issuer", forger.with("iss", "other")),
        ("no expiry", forger.without("exp")),
        ("no audience", forger.without("aud")),
        ("no issuer", forger.without("iss")),
        ("no session", forger.without("sid")),
        ("no user", forger.without("sub")),
        ("an unknown session", forger.with("sid", new_id())),
        ("an ended session", forger.with("sid", ended)),
        (
            "another user's session",
            forger.with("sub", UserId(new_id())),
        ),
    ]
}
