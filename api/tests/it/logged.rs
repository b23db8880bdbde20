//! What the log of the running service says about actions.

use crate::service::Service;
use crate::stub::{REDIRECT, Stub};
use crate::world::text;
use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const EMAIL: &str = "ann@example.com";
const AMOUNT: &str = "70707.125625";

/// A service with an identity provider.
struct Running {
    service: Service,
    stub: Stub,
}

impl Running {
    async fn start() -> Self {
        let stub = Stub::start().await;
        let google = stub.settings().google.expect("Google");
        let variables = [
            ("TIRIS_PROVIDERS", "google"),
            ("TIRIS_REDIRECT_URIS", REDIRECT),
            ("TIRIS_GOOGLE_CLIENT_ID", google.client_id.as_str()),
            (
                "TIRIS_GOOGLE_CLIENT_SECRET",
                google.client_secret.expose_secret(),
            ),
            ("TIRIS_GOOGLE_ISSUER", google.issuer.as_str()),
            ("TIRIS_GOOGLE_AUTH_URL", google.auth_url.as_str()),
            ("TIRIS_GOOGLE_TOKEN_URL", google.token_url.as_str()),
            ("TIRIS_GOOGLE_JWKS_URL", google.jwks_url.as_str()),
        ];
        let service = Service::start(&variables).await;
        Self { service, stub }
    }

    /// Sends a request with an idempotency key that its path determines.
    async fn post(&self, path: &str, token: &str, body: &Value) -> (StatusCode, Value) {
        let request = self
            .service
            .http
            .post(format!("{}{path}", self.service.api))
            .bearer_auth(token)
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", path.replace('/', "-"))
            .body(body.to_string());
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("text");
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// Like [`Self::post`], and returns the data of the answer.
    async fn done(&self, path: &str, token: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, token, body).await;
        assert!(status.is_success(), "{path}: {answer}");
        answer["data"].clone()
    }

    /// Returns the address of the provider and the body of the callback without the code.
    async fn login(&self) -> (String, Value) {
        let body = json!({"provider": "google", "redirect_uri": REDIRECT});
        let begun = self.done("/v1/auth/login", "", &body).await;
        let callback =
            json!({"provider": "google", "redirect_uri": REDIRECT, "state": begun["state"]});
        (text(&begun["auth_url"]), callback)
    }

    async fn sign_in(&self, code: &str, mut callback: Value) -> (StatusCode, Value) {
        callback["code"] = json!(code);
        self.post("/v1/auth/callback", "", &callback).await
    }
}

/// Returns level, message, user, action and resource of the lines about actions.
fn actions(log: &str) -> Vec<Value> {
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(line).expect(line));
    let about_actions = lines.filter(|line: &Value| line["metadata"]["action"].is_string());
    let shown = about_actions.map(|line| {
        let metadata = &line["metadata"];
        json!([
            line["level"],
            line["message"],
            line["user_id"],
            metadata["action"],
            metadata["resource_id"],
        ])
    });
    shown.collect()
}

#[tokio::test]
async fn each_action_has_one_line_that_names_the_user_and_no_secret() {
    let mut running = Running::start().await;
    let stolen = "a-code-of-a-thief";
    let (_, callback) = running.login().await;
    let (refused, _) = running.sign_in(stolen, callback).await;
    let (auth_url, callback) = running.login().await;
    let claims = running.stub.claims(&auth_url, "g-1", EMAIL);
    let code = running.stub.agree(&auth_url, &claims);
    let (_, answer) = running.sign_in(&code, callback).await;
    let signed_in = &answer["data"];
    let user = &signed_in["user"]["id"];
    let token = text(&signed_in["access_token"]);

    let body = json!({"name": "a grid of mine", "type": "paper"});
    let trading = running.done("/v1/tradings", &token, &body).await;
    let trading = &trading["id"];
    let body = json!({"trading_id": trading, "name": "cash", "symbol": "BTC", "balance": AMOUNT});
    let account = running.done("/v1/sub-accounts", &token, &body).await;
    let account = &account["id"];
    let deposit = format!("/v1/sub-accounts/{}/deposit", text(account));
    let body = json!({"amount": AMOUNT, "message": "a present"});
    running.done(&deposit, &token, &body).await;
    // A repetition changes nothing.
    running.done(&deposit, &token, &body).await;
    let withdrawal = deposit.replace("deposit", "withdraw");
    let too_much = json!({"amount": "1000000"});
    let (overdrawn, _) = running.post(&withdrawal, &token, &too_much).await;
    running.done("/v1/auth/logout", &token, &json!({})).await;
    let log = running.service.stop().await;

    assert_eq!(refused, StatusCode::BAD_REQUEST, "{log}");
    assert_eq!(overdrawn, StatusCode::UNPROCESSABLE_ENTITY, "{log}");
    let logged = actions(&log);
    let session = &logged[1][4];
    assert!(session.is_string(), "{logged:?}");
    let info = |message, action, id| json!(["INFO", message, user, action, id]);
    let expected = [
        json!(["WARN", "sign-in refused", null, "session.refuse", null]),
        info("user signed in", "session.begin", session),
        info("trading created", "trading.create", trading),
        info("sub-account created", "sub_account.create", account),
        info("deposit booked", "sub_account.deposit", account),
        info("user signed out of a session", "session.end", session),
    ];
    assert_eq!(logged, expected);
    let refresh_token = text(&signed_in["refresh_token"]);
    for secret in [
        stolen,
        &code,
        &token,
        &refresh_token,
        EMAIL,
        AMOUNT,
        "a present",
        "a grid of mine",
    ] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
