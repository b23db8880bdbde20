//! Every operation of the document, done: it answers with the status and in the form the document promises.

use crate::access::{own_thing, things};
use crate::exchanges::Exchanges;
use crate::idempotency::Cases;
use crate::openapi::{document, operations};
use crate::sign_in::{Begun, by_google};
use crate::stub::{REDIRECT, Stub};
use crate::world::{Answer, User, World, http_client, text};
use reqwest::Method;
use serde_json::{Value, json};

const JSON: &str = "application/json; charset=utf-8";

/// Why a value is not what a schema of the document says; nothing when it is.
fn mismatch(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix("#/components/schemas/"))
    {
        return mismatch(
            document,
            &document["components"]["schemas"][name],
            value,
            place,
        );
    }
    if value.is_null() && schema["nullable"] == true {
        return None;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Some(why) = mismatch(document, part, value, place) {
            return Some(why);
        }
    }
    for choice in ["anyOf", "oneOf"] {
        let Some(choices) = schema[choice].as_array() else {
            continue;
        };
        if !choices
            .iter()
            .any(|one| mismatch(document, one, value, place).is_none())
        {
            return Some(format!("{place} is none of {choice}: {value}"));
        }
    }
    if schema["enum"]
        .as_array()
        .is_some_and(|known| !known.contains(value))
    {
        return Some(format!("{place} is no known value: {value}"));
    }
    let is_right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some(other) => panic!("{place}: the type {other} has no case here"),
        None => true,
    };
    if !is_right {
        return Some(format!("{place} is no {}: {value}", schema["type"]));
    }
    below(document, schema, value, place)
}

/// The same of what is inside of a value.
fn below(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().expect("a name")).is_none() {
            return Some(format!("{place} has no {name}"));
        }
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object())
    {
        for (name, field) in fields {
            let Some(known) = properties.get(name) else {
                return Some(format!("{place} has an unknown {name}"));
            };
            if let Some(why) = mismatch(document, known, field, &format!("{place}.{name}")) {
                return Some(why);
            }
        }
    }
    let items = value
        .as_array()
        .into_iter()
        .flatten()
        .filter(|_| schema["items"].is_object());
    items
        .into_iter()
        .find_map(|item| mismatch(document, &schema["items"], item, &format!("{place}[]")))
}

/// What operations are done with.
struct Place<'u> {
    world: &'u World,
    stub: &'u Stub,
    ann: &'u User<'u>,
    root: &'u User<'u>,
    cases: Cases<'u>,
    things: Vec<(&'static str, String)>,
}

impl Place<'_> {
    /// Does an operation.
    async fn answer(&self, seq: i64, method: &Method, path: &str) -> Answer {
        if path.starts_with("/v1/auth/") {
            return self.signing_in(path).await;
        }
        if [Method::POST, Method::PUT].contains(method) {
            let (user, id, body) = self.cases.of(seq, method, path).await;
            return user
                .send(method.clone(), &path.replace("{id}", &id), Some(body))
                .await;
        }
        let (ann, root) = (self.ann, self.root);
        match (method.as_str(), path) {
            ("DELETE", "/v1/users/me") => self.world.user("leaving").await.delete(path).await,
            ("DELETE", "/v1/trading-logs/{id}") => {
                let note = json!({"trading_id": self.things[1].1, "type": "note", "source": "bot", "message": ""});
                let log = text(&root.post("/v1/trading-logs", note).await.data()["id"]);
                root.delete(&format!("/v1/trading-logs/{log}")).await
            }
            ("GET", "/v1/users/{id}") => root.get(&format!("/v1/users/{}", ann.id.0)).await,
            ("GET", "/v1/events/replay/{id}") => {
                let range = json!({"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"});
                let asked = root.post("/v1/events/replay", range).await;
                root.get(&format!("/v1/events/replay/{}", text(&asked.data()["id"])))
                    .await
            }
            ("GET", path) if !path.contains('{') => root.get(path).await,
            (_, path) => match own_thing(root, method.as_str(), path).await {
                Some(own) => root.send(method.clone(), &own, None).await,
                None => {
                    let found = self
                        .things
                        .iter()
                        .find(|(prefix, _)| path.starts_with(prefix));
                    let (prefix, id) =
                        found.unwrap_or_else(|| panic!("{method} {path} has no case here"));
                    let own = path.replace(&prefix[prefix.find('{').expect("a parameter")..], id);
                    root.send(method.clone(), &own, None).await
                }
            },
        }
    }

    async fn signing_in(&self, path: &str) -> Answer {
        let (world, stub) = (self.world, self.stub);
        match path {
            "/v1/auth/login" => {
                let body = json!({"provider": "google", "redirect_uri": REDIRECT, "login_challenge": "A".repeat(43)});
                world.post(path, body).await
            }
            "/v1/auth/callback" => by_google(world, stub, "g-1", "new@example.com", true).await,
            "/v1/auth/refresh" => {
                let login = Begun::at(world, "google").await;
                let claims = stub.claims(&login.auth_url, "g-2", "other@example.com");
                let tokens = login
                    .end(world, &stub.agree(&login.auth_url, &claims))
                    .await;
                world
                    .post(
                        path,
                        json!({"refresh_token": tokens.data()["refresh_token"]}),
                    )
                    .await
            }
            "/v1/auth/logout" => {
                world
                    .user("going")
                    .await
                    .send(Method::POST, path, None)
                    .await
            }
            other => panic!("{other} has no case here"),
        }
    }
}

/// That the stream begins.
async fn assert_streams(user: &User<'_>) {
    let request = http_client().get(format!("http://{}/v1/stream", user.world.address));
    let answer = request
        .bearer_auth(&user.token)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let media_type = answer.headers()["content-type"].to_str().expect("text");
    assert!(media_type.starts_with("text/event-stream"), "{media_type}");
}

#[tokio::test]
async fn every_operation_succeeds_in_the_form_the_document_promises() {
    let (exchanges, stub) = (Exchanges::start().await, Stub::start().await);
    let world = World::start_with(|settings| {
        settings.exchanges = exchanges.settings(false);
        settings.providers = stub.settings();
    })
    .await;
    let (ann, root) = (world.user("ann").await, world.admin("root").await);
    let desk = root.desk("own", "10", "10").await;
    let things = things(&root, &desk).await;
    let cases = Cases::new(&ann, &root).await;
    let place = Place {
        world: &world,
        stub: &stub,
        ann: &ann,
        root: &root,
        cases,
        things,
    };
    let document = document();
    for (seq, (method, path, operation)) in (100..).zip(operations()) {
        if path == "/v1/stream" {
            assert_streams(&ann).await;
            continue;
        }
        let answer = place
            .answer(seq, &method.parse().expect("a method"), &path)
            .await;
        let name = format!("{method} {path}");
        assert!(
            answer.status.is_success(),
            "{name}: {} {}",
            answer.status,
            answer.text
        );
        let response = &operation["responses"][answer.status.as_str()];
        assert!(
            response.is_object(),
            "{name} does not document {}",
            answer.status
        );
        let schema = &response["content"][JSON]["schema"];
        assert!(schema.is_object(), "{name}: {response}");
        assert_eq!(
            mismatch(&document, schema, &answer.body, "$"),
            None,
            "{name}: {}",
            answer.text
        );
    }
}
