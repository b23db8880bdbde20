//! Stub identity providers over HTTP: Google (OpenID Connect) and WeChat.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::web::{Data, Form, Query};
use poem::{EndpointExt, IntoResponse, Response, Route, Server, get, handler, post};
use reqwest::Url;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use tiris_api::settings::{GoogleSettings, ProviderSettings, WechatSettings};
use tiris_domain::states::IdentityProvider;

pub(crate) const REDIRECT: &str = "https://tiris.ai/auth/callback";
pub(crate) const OTHER_REDIRECT: &str = "https://tiris.ai/other";
const CLIENT: &str = "the-client";
const SECRET: &str = "the-secret";
const KEY_ID: &str = "key-1";
const KEY_BITS: usize = 2048;

type Parameters = HashMap<String, String>;

/// An RSA key pair.
pub(crate) struct Pair {
    pub(crate) signing: EncodingKey,
    jwk: Value,
}

impl Pair {
    fn make() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, KEY_BITS).expect("a key");
        let der = key.to_pkcs1_der().expect("DER");
        let number = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let jwk = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
                         "n": number(key.n().to_bytes_be()), "e": number(key.e().to_bytes_be())});

        Self {
            signing: EncodingKey::from_rsa_der(der.as_bytes()),
            jwk,
        }
    }
}

/// Returns the provider's key and a foreign key.
pub(crate) fn pairs() -> &'static (Pair, Pair) {
    static PAIRS: OnceLock<(Pair, Pair)> = OnceLock::new();
    PAIRS.get_or_init(|| (Pair::make(), Pair::make()))
}

/// The response that the provider prepared for a code.
struct Grant {
    challenge: String,
    redirect_uri: String,
    id_token: String,
}

#[derive(Default)]
struct Memory {
    grants: HashMap<String, Grant>,
    people: HashMap<String, Value>,
    keys_asked: usize,
}

type Shared = Arc<Mutex<Memory>>;

/// Running providers.
pub(crate) struct Stub {
    base: String,
    memory: Shared,
}

/// Returns the parameters of an authorization URL.
pub(crate) fn carried(auth_url: &str) -> Parameters {
    Url::parse(auth_url)
        .expect("a URL")
        .query_pairs()
        .into_owned()
        .collect()
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .expect("a port");
        let address = acceptor.local_addr()[0]
            .as_socket_addr()
            .copied()
            .expect("an address");
        let memory = Shared::default();
        let app = Route::new()
            .at("/token", post(token))
            .at("/keys", get(keys))
            .at("/wechat/token", get(wechat_token))
            .at("/wechat/user", get(wechat_user))
            .data(Arc::clone(&memory));
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));

        Self {
            base: format!("http://{address}"),
            memory,
        }
    }

    pub(crate) fn settings(&self) -> ProviderSettings {
        let url = |path: &str| Url::parse(&format!("{}{path}", self.base)).expect("a URL");

        ProviderSettings {
            redirect_uris: vec![REDIRECT.to_owned(), OTHER_REDIRECT.to_owned()],
            offered: vec![IdentityProvider::Google, IdentityProvider::Wechat],
            google: Some(GoogleSettings {
                client_id: CLIENT.to_owned(),
                client_secret: SECRET.into(),
                issuer: self.base.clone(),
                auth_url: url("/auth"),
                token_url: url("/token"),
                jwks_url: url("/keys"),
            }),
            wechat: Some(WechatSettings {
                app_id: CLIENT.to_owned(),
                app_secret: SECRET.into(),
                auth_url: url("/wechat/auth"),
                token_url: url("/wechat/token"),
                user_url: url("/wechat/user"),
            }),
        }
    }

    /// Returns the claims of a user with this e-mail address for the login at `auth_url`.
    pub(crate) fn claims(&self, auth_url: &str, subject: &str, email: &str) -> Value {
        let now = Utc::now().timestamp();
        json!({"iss": self.base, "aud": CLIENT, "sub": subject, "email": email, "email_verified": true,
               "name": "Ann Example", "picture": "https://pictures.example/ann.png",
               "nonce": carried(auth_url)["nonce"], "iat": now, "exp": now + 600})
    }

    /// Consents, and returns a code for which the provider will return this id token.
    pub(crate) fn agree_to(&self, auth_url: &str, id_token: String) -> String {
        let asked = carried(auth_url);

        assert_eq!(asked["client_id"].as_str(), CLIENT);
        assert_eq!(asked["response_type"].as_str(), "code");
        assert_eq!(asked["scope"].as_str(), "openid email profile");
        assert_eq!(asked["code_challenge_method"].as_str(), "S256");

        let grant = Grant {
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
            id_token,
        };
        let code = format!("code-{:016x}", rand::random::<u64>());
        self.memory
            .lock()
            .expect("a lock")
            .grants
            .insert(code.clone(), grant);
        code
    }

    /// Consents, and returns a code for which the provider will return these claims.
    pub(crate) fn agree(&self, auth_url: &str, claims: &Value) -> String {
        self.agree_to(
            auth_url,
            sign(claims, &pairs().0, Algorithm::RS256, Some(KEY_ID)),
        )
    }

    /// Consents at WeChat, and returns a code.
    pub(crate) fn agree_at_wechat(&self, person: Value) -> String {
        let code = format!("code-{:016x}", rand::random::<u64>());
        self.memory
            .lock()
            .expect("a lock")
            .people
            .insert(code.clone(), person);
        code
    }

    /// Returns the number of requests for the keys.
    pub(crate) fn keys_asked(&self) -> usize {
        self.memory.lock().expect("a lock").keys_asked
    }
}

/// Signs an id token.
pub(crate) fn sign(
    claims: &Value,
    pair: &Pair,
    algorithm: Algorithm,
    key_id: Option<&str>,
) -> String {
    let header = Header {
        kid: key_id.map(str::to_owned),
        ..Header::new(algorithm)
    };
    encode(&header, claims, &pair.signing).expect("a token")
}

fn answer(status: u16, media_type: &str, body: impl Into<String>) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    Response::builder()
        .status(status)
        .content_type(media_type)
        .body(body.into())
}

#[handler]
fn keys(memory: Data<&Shared>) -> Response {
    memory.lock().expect("a lock").keys_asked += 1;
    answer(
        200,
        "application/json",
        json!({"keys": [pairs().0.jwk]}).to_string(),
    )
}

/// Returns the error response to a code that stands for a failure.
async fn trouble(code: &str) -> Option<Response> {
    Some(match code {
        "slow" => {
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
            answer(200, "application/json", "{}")
        }
        "broken" => answer(500, "text/html", "<h1>the secret</h1>"),
        "elsewhere" => Response::builder()
            .status(StatusCode::FOUND)
            .header("location", "/keys")
            .finish(),
        "endless" => answer(200, "application/json", " ".repeat(300_000)),
        "nonsense" => answer(200, "text/plain", "hello"),
        "refused" => answer(
            400,
            "application/json",
            r#"{"error": "unauthorized_client"}"#,
        ),
        "tokenless" => answer(
            200,
            "application/json",
            r#"{"access_token": "a", "token_type": "Bearer", "expires_in": 9}"#,
        ),
        "busy" => answer(
            200,
            "text/plain",
            r#"{"errcode": -1, "errmsg": "system error"}"#,
        ),
        "unknown-app" => answer(
            200,
            "text/plain",
            r#"{"errcode": 40013, "errmsg": "invalid appid"}"#,
        ),
        _ => return None,
    })
}

#[handler]
async fn token(memory: Data<&Shared>, form: Form<Parameters>) -> Response {
    if let Some(trouble) = trouble(&form["code"]).await {
        return trouble;
    }

    assert_eq!(form["client_id"].as_str(), CLIENT);
    assert_eq!(form["client_secret"].as_str(), SECRET);
    assert_eq!(form["grant_type"], "authorization_code");

    let grant = memory.lock().expect("a lock").grants.remove(&form["code"]);
    let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));

    match grant
        .filter(|grant| grant.challenge == proof && grant.redirect_uri == form["redirect_uri"])
    {
        Some(grant) => {
            let body = json!({"access_token": "at", "refresh_token": "rt", "token_type": "Bearer",
                              "expires_in": 3599, "scope": "openid", "id_token": grant.id_token});
            answer(200, "application/json", body.to_string())
        }
        None => answer(400, "application/json", r#"{"error": "invalid_grant"}"#),
    }
}

#[handler]
async fn wechat_token(memory: Data<&Shared>, query: Query<Parameters>) -> Response {
    if let Some(trouble) = trouble(&query["code"]).await {
        return trouble;
    }

    assert_eq!(query["appid"].as_str(), CLIENT);
    assert_eq!(query["secret"].as_str(), SECRET);
    assert_eq!(query["grant_type"], "authorization_code");

    let mut memory = memory.lock().expect("a lock");
    let Some(mut person) = memory.people.remove(&query["code"]) else {
        return answer(
            200,
            "text/plain",
            r#"{"errcode": 40029, "errmsg": "invalid code"}"#,
        );
    };
    let access = format!("at-{}", query["code"]);
    memory.people.insert(access.clone(), person.clone());
    person["access_token"] = access.into();
    person["expires_in"] = 7200.into();

    answer(200, "text/plain", person.to_string()).into_response()
}

#[handler]
fn wechat_user(memory: Data<&Shared>, query: Query<Parameters>) -> Response {
    let memory = memory.lock().expect("a lock");
    let person = memory.people.get(&query["access_token"]).expect("a person");
    assert_eq!(person["openid"], query["openid"]);
    answer(200, "text/plain", person.to_string())
}
