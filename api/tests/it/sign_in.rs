//! Sign-in at Google and WeChat.

use crate::stub::{REDIRECT, Stub, carried};
use crate::world::{Answer, User, World, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tiris_domain::ids::UserId;

const VERIFIER: &str = "what only this browser knows";

/// Starts an API with identity providers.
pub(crate) async fn world() -> (World, Stub) {
    let stub = Stub::start().await;
    let providers = stub.settings();
    (
        World::start_with(|settings| settings.providers = providers).await,
        stub,
    )
}

/// A pending login.
pub(crate) struct Begun {
    pub(crate) auth_url: String,
    pub(crate) state: String,
    provider: &'static str,
}

impl Begun {
    pub(crate) async fn at(world: &World, provider: &'static str) -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let body =
            json!({"provider": provider, "redirect_uri": REDIRECT, "login_challenge": challenge});

        let answer = world.post("/v1/auth/login", body).await;
        answer.assert_not_cached();

        let begun = answer.data();
        Self {
            auth_url: text(&begun["auth_url"]),
            state: text(&begun["state"]),
            provider,
        }
    }

    /// Consents at Google, and returns the authorization code.
    pub(crate) fn agreed(&self, stub: &Stub, subject: &str, email: &str) -> String {
        let claims = stub.claims(&self.auth_url, subject, email);
        stub.agree(&self.auth_url, &claims)
    }

    /// Returns the request of the client after the redirect.
    pub(crate) fn callback(&self, code: &str) -> Value {
        json!({"provider": self.provider, "code": code, "state": self.state, "redirect_uri": REDIRECT,
               "login_verifier": VERIFIER})
    }

    pub(crate) async fn end(&self, world: &World, code: &str) -> Answer {
        world.post("/v1/auth/callback", self.callback(code)).await
    }
}

/// Signs in at Google with this subject and address.
pub(crate) async fn by_google(
    world: &World,
    stub: &Stub,
    subject: &str,
    email: &str,
    verified: bool,
) -> Answer {
    let login = Begun::at(world, "google").await;
    let mut claims = stub.claims(&login.auth_url, subject, email);
    claims["email_verified"] = json!(verified);
    login
        .end(world, &stub.agree(&login.auth_url, &claims))
        .await
}

/// Signs in at WeChat.
async fn by_wechat(world: &World, stub: &Stub, person: Value) -> Answer {
    let login = Begun::at(world, "wechat").await;
    login.end(world, &stub.agree_at_wechat(person)).await
}

fn user_of<'w>(world: &'w World, signed_in: &Answer) -> User<'w> {
    let data = signed_in.data();
    let id = UserId(text(&data["user"]["id"]).parse().expect("an id"));
    User {
        world,
        id,
        session: uuid::Uuid::nil(),
        token: text(&data["access_token"]),
    }
}

#[tokio::test]
async fn a_first_google_sign_in_creates_a_user() {
    let (world, stub) = world().await;

    let answer = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    answer.assert_not_cached();
    assert_eq!(answer.header("set-cookie"), "");
    let data = answer.data();
    assert_eq!(data["token_type"], "Bearer");
    assert_eq!(data["expires_in"], 3600);
    let person = &data["user"];
    assert_eq!(person["username"], "ann");
    assert_eq!(person["full_name"], "Ann Example");
    assert_eq!(person["email"], "ann@example.com");
    assert_eq!(person["role"], "user");
    assert_eq!(person["avatar"], "https://pictures.example/ann.png");
    assert!(person["email_verified_at"].is_string());
    let user = user_of(&world, &answer);
    assert_eq!(user.get("/v1/users/me").await.data(), person);
}

#[tokio::test]
async fn a_first_sign_in_creates_a_paper_trading() {
    let (world, stub) = world().await;

    let answer = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    let user = user_of(&world, &answer);
    let tradings = user.get("/v1/tradings").await;
    let tradings = tradings.list("tradings");
    assert_eq!(tradings.len(), 1);
    assert_eq!(tradings[0]["type"], "paper");
    assert_eq!(tradings[0]["exchange_binding"]["kind"], "public");
}

#[tokio::test]
async fn stores_only_a_hash_of_the_refresh_token() {
    let (world, stub) = world().await;

    let answer = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    let token = text(&answer.data()["refresh_token"]);
    let body = json!({"refresh_token": token});
    let refreshed = world.post("/v1/auth/refresh", body).await;
    assert!(refreshed.data()["access_token"].is_string(), "{refreshed}");
    let hashes: Vec<(Vec<u8>,)> = world.rows("SELECT refresh_token_hash FROM sessions").await;
    assert_eq!(hashes, [(Sha256::digest(token).to_vec(),)]);
    for left in [
        "SELECT count(*) FROM oauth_states",
        "SELECT count(*) FROM oauth_identities \
         WHERE num_nonnulls(access_token_encrypted, refresh_token_encrypted) > 0",
    ] {
        assert_eq!(world.scalar::<i64>(left).await, 0, "{left}");
    }
}

#[tokio::test]
async fn recognizes_a_user_by_subject_not_by_address() {
    let (world, stub) = world().await;

    let first = by_google(&world, &stub, "g-1", "ann@example.com", true).await;
    let again = by_google(&world, &stub, "g-1", "ann@other.example", false).await;

    assert_eq!(first.data()["user"]["id"], again.data()["user"]["id"]);
    assert_eq!(again.data()["user"]["email"], "ann@example.com");

    let user = user_of(&world, &again);
    assert_eq!(user.get("/v1/tradings").await.list("tradings").len(), 1);

    let audited: Vec<Value> = sqlx::query_scalar(
        "SELECT after FROM audit_logs WHERE action = 'session.begin' ORDER BY timestamp",
    )
    .fetch_all(world.pool())
    .await
    .expect("the audit trail");
    assert_eq!(
        audited,
        [true, false].map(|is_new| json!({"provider": "google", "new_user": is_new}))
    );
}

#[tokio::test]
async fn concurrent_first_sign_ins_create_one_user() {
    let (world, stub) = world().await;
    let many = (0..4).map(|_| by_google(&world, &stub, "g-1", "ann@example.com", true));
    let answers = futures_util::future::join_all(many).await;

    assert!(
        answers
            .iter()
            .all(|answer| answer.data()["user"]["id"] == answers[0].data()["user"]["id"])
    );
}

#[tokio::test]
async fn only_one_of_several_users_gets_an_address() {
    let (world, stub) = world().await;
    let subjects = ["g-1", "g-2", "g-3", "g-4"];
    let many = subjects.map(|subject| by_google(&world, &stub, subject, "ann@example.com", true));
    let answers = futures_util::future::join_all(many).await;
    let refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();

    assert_eq!(refused.len(), subjects.len() - 1);
    assert!(
        refused
            .iter()
            .all(|answer| answer.refusal() == (409, "EMAIL_EXISTS"))
    );
}

#[tokio::test]
async fn links_accounts_only_by_verified_unlinked_addresses() {
    let (world, stub) = world().await;
    let ann = world.user("ann").await;

    let unverified = by_google(&world, &stub, "g-1", "ANN@example.com", false).await;
    unverified.assert_error(409, "EMAIL_EXISTS");

    let tied = by_google(&world, &stub, "g-2", "Ann@Example.com", true).await;
    assert_eq!(tied.data()["user"]["id"], json!(ann.id));

    let successor = by_google(&world, &stub, "g-3", "ann@example.com", true).await;
    // An address that now belongs to another user.
    successor.assert_error(409, "EMAIL_EXISTS");

    let unknown = by_google(&world, &stub, "g-4", "bob@example.com", false).await;
    assert_eq!(
        unknown.data()["user"]["email"],
        Value::Null,
        "the provider has not verified it"
    );

    let owner = by_google(&world, &stub, "g-5", "bob@example.com", true).await;
    assert_ne!(owner.data()["user"]["id"], unknown.data()["user"]["id"]);
}

#[tokio::test]
async fn disabled_users_cannot_sign_in_deleted_ones_start_anew() {
    let (world, stub) = world().await;

    let first = by_google(&world, &stub, "g-1", "ann@example.com", true).await;
    let user = user_of(&world, &first);
    user.set_status("disabled").await;
    let refused = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    refused.assert_error(403, "ACCOUNT_DISABLED");

    user.set_status("active").await;
    let again = user_of(
        &world,
        &by_google(&world, &stub, "g-1", "ann@example.com", true).await,
    );
    again.delete("/v1/users/me").await.data();
    let back = by_google(&world, &stub, "g-1", "ann@example.com", true).await;

    assert_ne!(back.data()["user"]["id"], json!(user.id));
    assert_eq!(back.data()["user"]["username"], "ann");
}

#[tokio::test]
async fn recognizes_wechat_users_by_unionid_or_openid() {
    let (world, stub) = world().await;

    let login = Begun::at(&world, "wechat").await;
    assert!(
        login.auth_url.ends_with("#wechat_redirect"),
        "{}",
        login.auth_url
    );

    let asked = carried(&login.auth_url);

    assert_eq!(asked["scope"].as_str(), "snsapi_login");
    assert_eq!(asked["appid"].as_str(), "the-client");
    assert_eq!(asked["redirect_uri"].as_str(), REDIRECT);
    assert_eq!(asked["state"].as_str(), login.state.as_str());

    let first = by_wechat(&world, &stub, json!({"openid": "o-1", "nickname": "安"})).await;
    let person = &first.data()["user"];

    assert_eq!(person["username"], "安");
    assert_eq!(person["email"], Value::Null);

    let with_union = by_wechat(&world, &stub, json!({"openid": "o-1", "unionid": "u-1"})).await;
    let other_app = by_wechat(&world, &stub, json!({"openid": "o-2", "unionid": "u-1"})).await;

    for again in [&with_union, &other_app] {
        assert_eq!(again.data()["user"]["id"], person["id"]);
    }

    let namesake = by_wechat(
        &world,
        &stub,
        json!({"openid": "o-3", "nickname": " 安\u{0}\n"}),
    )
    .await;
    assert_ne!(namesake.data()["user"]["id"], person["id"]);
    assert!(text(&namesake.data()["user"]["username"]).starts_with("安-"));
}

#[tokio::test]
async fn the_first_trading_never_uses_a_deleted_binding() {
    let (world, stub) = world().await;
    let mut deletion = world.pool().begin().await.expect("a transaction");
    // Locked as the API locks it.
    for statement in [
        "SELECT id FROM exchange_bindings WHERE kind = 'public' AND exchange_type = 'virtual' FOR UPDATE",
        "UPDATE exchange_bindings SET status = 'deleted' WHERE kind = 'public' AND exchange_type = 'virtual'",
    ] {
        sqlx::query(statement)
            .execute(&mut *deletion)
            .await
            .expect(statement);
    }
    let commit = async {
        world.lock_is_waited_for().await;
        deletion.commit().await.expect("committed");
    };

    let (answer, ()) = tokio::join!(
        by_google(&world, &stub, "g-1", "ann@example.com", true),
        commit
    );

    let tradings = user_of(&world, &answer).get("/v1/tradings").await;
    let binding = &tradings.list("tradings")[0]["exchange_binding"];
    assert_eq!(binding["kind"], "public");
    assert_eq!(binding["exchange_type"], "binance");
}

#[tokio::test]
async fn the_first_trading_needs_no_binding() {
    let (world, stub) = world().await;
    world
        .execute("UPDATE exchange_bindings SET status = 'deleted'")
        .await;

    let answer = by_google(&world, &stub, "g-2", "bob@example.com", true).await;

    let tradings = user_of(&world, &answer).get("/v1/tradings").await;
    let trading = &tradings.list("tradings")[0];
    assert_eq!(trading["type"], "paper");
    assert_eq!(trading["exchange_binding_id"], Value::Null);
}

#[tokio::test]
async fn concurrent_sign_ins_with_and_without_unionid_create_one_user() {
    let (world, stub) = world().await;
    let person = |at: usize| match at % 2 {
        0 => json!({"openid": "o-1"}),
        _ => json!({"openid": "o-1", "unionid": "u-1"}),
    };

    let answers =
        futures_util::future::join_all((0..6).map(|at| by_wechat(&world, &stub, person(at)))).await;
    assert!(
        answers
            .iter()
            .all(|answer| answer.data()["user"]["id"] == answers[0].data()["user"]["id"])
    );

    let kept: Vec<(String, Option<String>, Option<String>)> =
        sqlx::query_as("SELECT subject, openid, unionid FROM oauth_identities")
            .fetch_all(world.pool())
            .await
            .expect("identities");
    let name = |text: &str| Some(text.to_owned());

    assert_eq!(kept, [("u-1".to_owned(), name("o-1"), name("u-1"))]);
}

#[tokio::test]
async fn users_stay_separate_when_they_turn_out_to_share_a_unionid() {
    let (world, stub) = world().await;

    let by_openid = by_wechat(&world, &stub, json!({"openid": "o-1"})).await;
    let by_unionid = by_wechat(&world, &stub, json!({"openid": "o-2", "unionid": "u-1"})).await;
    let id = |answer: &Answer| answer.data()["user"]["id"].clone();

    assert_ne!(id(&by_openid), id(&by_unionid));

    let both = by_wechat(&world, &stub, json!({"openid": "o-1", "unionid": "u-1"})).await;
    assert_eq!(id(&both), id(&by_unionid), "the unionid takes precedence");
    assert_eq!(
        id(&by_wechat(&world, &stub, json!({"openid": "o-1"})).await),
        id(&by_openid)
    );
}

#[tokio::test]
async fn a_taken_username_gets_a_suffix() {
    let (world, stub) = world().await;
    let addresses = ["one", "two", "three", "four"].map(|domain| format!("ann@{domain}.example"));
    let many = addresses
        .iter()
        .map(|address| by_google(&world, &stub, address, address, true));
    let mut names: Vec<String> = Vec::new();

    for answer in futures_util::future::join_all(many).await {
        names.push(text(&answer.data()["user"]["username"]));
    }

    names.sort();
    names.dedup();

    assert_eq!(names.len(), addresses.len());
    assert!(
        names.iter().all(|name| name.starts_with("ann")) && names.contains(&"ann".to_owned()),
        "{names:?}"
    );
}
