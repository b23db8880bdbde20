//! Signing in by the form of a real OpenID provider, that of `make run LOGIN=1`, like a browser.

use crate::sign_in::Begun;
use crate::skip::skip;
use crate::stub::{REDIRECT, carried};
use crate::world::{Answer, World, text};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tiris_api::settings::{GoogleSettings, ProviderSettings};
use tiris_domain::states::IdentityProvider;
use tiris_testing::{OpenIdProvider, OpenIdSettings, find_openid_provider};

const CLIENT: &str = "the-client";
const SECRET: &str = "the-secret";
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// More pages than a login has.
const PAGES_MAX: usize = 12;
/// Set to `required` where the provider must be installed.
const REQUIREMENT: &str = "TIRIS_OPENID";

/// Returns a provider and an API that uses this client secret; `None` where no provider is installed.
async fn world(secret: &str) -> Option<(World, OpenIdProvider)> {
    if let Err(error) = find_openid_provider() {
        skip(
            REQUIREMENT,
            "signing in at a real provider",
            &format!("{error:#}"),
        );
        return None;
    }

    let client = OpenIdSettings {
        client_id: CLIENT.to_owned(),
        client_secret: SECRET.to_owned(),
        redirect_uris: vec![REDIRECT.to_owned()],
        ..OpenIdSettings::default()
    };
    let provider = OpenIdProvider::start(&client).await.expect("a provider");
    let url = |text: String| Url::parse(&text).expect("a URL");
    let google = GoogleSettings {
        client_id: CLIENT.to_owned(),
        client_secret: secret.into(),
        issuer: provider.issuer().to_owned(),
        auth_url: url(provider.auth_url()),
        token_url: url(provider.token_url()),
        jwks_url: url(provider.jwks_url()),
    };
    let settings = ProviderSettings {
        redirect_uris: vec![REDIRECT.to_owned()],
        offered: vec![IdentityProvider::Google],
        google: Some(google),
        wechat: None,
    };

    Some((
        World::start_with(|all| all.providers = settings).await,
        provider,
    ))
}

/// A browser: stores cookies, follows redirects, and sends the forms a user fills in.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        tiris_runtime::tls::choose_provider();
        let http = Client::builder()
            .timeout(REQUEST_LIMIT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build();
        Self {
            http: http.expect("a client"),
            cookies: BTreeMap::new(),
        }
    }

    /// Signs in by the provider's form and returns the query of the redirect to `REDIRECT`.
    async fn sign_in(&mut self, auth_url: &str, email: &str) -> BTreeMap<String, String> {
        let mut url = Url::parse(auth_url).expect("a URL");
        let mut page = self.send(self.http.get(url.clone())).await;

        for _ in 0..PAGES_MAX {
            if let Some(location) = page.headers().get(LOCATION) {
                url = url
                    .join(location.to_str().expect("an address"))
                    .expect("an address");
                if url.as_str().starts_with(REDIRECT) {
                    return url.query_pairs().into_owned().collect();
                }
                page = self.send(self.http.get(url.clone())).await;
                continue;
            }

            let status = page.status();
            let html = page.text().await.expect("a page");

            assert_eq!(status, 200, "{html}");

            url = url
                .join(&between(&html, " action=\"", "\""))
                .expect("an address");
            let mut filled_in = hidden_fields(&html);

            if html.contains("name=\"login\"") {
                filled_in.extend([("login", email), ("password", "any")].map(owned));
            }

            let post = self
                .http
                .post(url.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
            page = self.send(post.body(encoded(&filled_in))).await;
        }
        panic!("the provider does not redirect back: {url}");
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let answer = request
            .header(COOKIE, cookies.join("; "))
            .send()
            .await
            .expect("an answer");

        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie
                .to_str()
                .expect("text")
                .split(';')
                .next()
                .unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a pair");

            match value {
                "" => self.cookies.remove(name),
                value => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }

        answer
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn hidden_fields(html: &str) -> Vec<(String, String)> {
    let inputs = html
        .split("<input ")
        .skip(1)
        .filter(|input| input.starts_with("type=\"hidden\""));
    inputs
        .map(|input| {
            (
                between(input, "name=\"", "\""),
                between(input, "value=\"", "\""),
            )
        })
        .collect()
}

fn encoded(fields: &[(String, String)]) -> String {
    let mut url = Url::parse("http://form").expect("a URL");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?} in {text}"))
        .1;
    rest.split(after).next().unwrap_or_default().to_owned()
}

/// Returns the address with another value of a parameter.
fn with_parameter(address: &str, name: &str, value: &str) -> String {
    let mut url = Url::parse(address).expect("a URL");
    let mut parameters = carried(address);

    assert!(
        parameters
            .insert(name.to_owned(), value.to_owned())
            .is_some(),
        "no {name} in {address}"
    );

    url.query_pairs_mut().clear().extend_pairs(parameters);
    url.into()
}

async fn sign_in(world: &World, browser: &mut Browser, email: &str) -> Answer {
    let login = Begun::at(world, "google").await;
    let back = browser.sign_in(&login.auth_url, email).await;
    assert_eq!(back["state"], login.state);
    login.end(world, &back["code"]).await
}

#[tokio::test]
async fn a_user_signs_in_at_a_real_provider_repeatedly() {
    let Some((world, _provider)) = world(SECRET).await else {
        return;
    };
    let mut browser = Browser::new();

    let first = sign_in(&world, &mut browser, "ann@example.com").await;

    let user = &first.data()["user"];
    assert_eq!(user["username"], "ann");
    assert_eq!(user["email"], "ann@example.com");
    assert!(user["email_verified_at"].is_string(), "{user}");
    let token = text(&first.data()["access_token"]);
    let me = world.get_as(&token, "/v1/users/me").await;
    assert_eq!(me.data(), user);

    for mut browser in [browser, Browser::new()] {
        let again = sign_in(&world, &mut browser, "ann@example.com").await;
        assert_eq!(again.data()["user"]["id"], user["id"]);
        // The same browser, another user.
        let other = sign_in(&world, &mut browser, "bob@example.com").await;
        assert_eq!(other.data()["user"]["username"], "bob");
    }
}

#[tokio::test]
async fn an_unverified_address_of_a_real_provider_is_not_stored() {
    let Some((world, _provider)) = world(SECRET).await else {
        return;
    };

    let signed_in = sign_in(&world, &mut Browser::new(), "unverified@example.com").await;

    assert_eq!(signed_in.data()["user"]["email"], Value::Null);
}

const EMAIL: &str = "ann@example.com";
const USERS: &str = "SELECT count(*) FROM users";

#[tokio::test]
async fn rejects_a_code_or_a_state_of_another_login() {
    let Some((world, _provider)) = world(SECRET).await else {
        return;
    };
    let mut browser = Browser::new();
    let login = Begun::at(&world, "google").await;
    let code = browser.sign_in(&login.auth_url, EMAIL).await["code"].clone();

    let mut callback = login.callback(&code);
    callback["state"] = json!("another");
    let answer = world.post("/v1/auth/callback", callback).await;
    answer.assert_error(400, "STATE_MISMATCH");

    let other = Begun::at(&world, "google").await;
    let answer = other.end(&world, &code).await;
    answer.assert_error(400, "INVALID_AUTHORIZATION_CODE");
    assert_eq!(world.scalar::<i64>(USERS).await, 0);
}

#[tokio::test]
async fn rejects_another_nonce_or_proof() {
    let Some((world, _provider)) = world(SECRET).await else {
        return;
    };
    let mut browser = Browser::new();
    let proof = "A".repeat(43);

    for (parameter, value, refusal) in [
        ("nonce", "another", "OAUTH_ERROR"),
        ("code_challenge", &proof, "INVALID_AUTHORIZATION_CODE"),
    ] {
        let login = Begun::at(&world, "google").await;
        let changed = with_parameter(&login.auth_url, parameter, value);
        let code = browser.sign_in(&changed, EMAIL).await["code"].clone();
        login.end(&world, &code).await.assert_error(400, refusal);
    }
    assert_eq!(world.scalar::<i64>(USERS).await, 0);
}

#[tokio::test]
async fn a_real_provider_redirects_to_known_addresses_only() {
    let Some((world, _provider)) = world(SECRET).await else {
        return;
    };
    let mut browser = Browser::new();
    let login = Begun::at(&world, "google").await;
    let elsewhere = with_parameter(&login.auth_url, "redirect_uri", "https://evil.example/");

    let refused = browser.send(browser.http.get(elsewhere)).await;

    assert_eq!(refused.status(), 400);
    assert_eq!(refused.headers().get(LOCATION), None);
}

#[tokio::test]
async fn a_wrong_secret_for_a_real_provider_is_an_oauth_error() {
    let Some((world, _provider)) = world("another secret").await else {
        return;
    };
    let answer = sign_in(&world, &mut Browser::new(), "ann@example.com").await;
    answer.assert_error(400, "OAUTH_ERROR");
}
