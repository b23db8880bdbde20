//! Every operation of the OpenAPI document returns the documented status and schema.

use crate::access::{Resource, path_of, resources};
use crate::audit::assert_recorded;
use crate::exchanges::Exchanges;
use crate::idempotency::cases::Cases;
use crate::openapi::{document, operations};
use crate::sign_in::by_google;
use crate::stub::{REDIRECT, Stub};
use crate::world::book::Book;
use crate::world::{Answer, User, World, http_client};
use reqwest::Method;
use serde_json::{Value, json};

const JSON: &str = "application/json; charset=utf-8";

/// Returns the difference between a value and its schema; `None` when the value is valid.
fn mismatch(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path
            .strip_prefix("#/components/schemas/")
            .expect("a schema");
        let schema = &document["components"]["schemas"][name];
        return mismatch(document, schema, value, place);
    }
    let mut parts = schema["allOf"].as_array().into_iter().flatten();
    parts
        .find_map(|part| mismatch(document, part, value, place))
        .or_else(|| no_choice(document, schema, value, place))
        .or_else(|| wrong_kind(schema, value, place))
        .or_else(|| wrong_content(document, schema, value, place))
}

fn no_choice(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    for choice in ["anyOf", "oneOf"] {
        let Some(choices) = schema[choice].as_array() else {
            continue;
        };
        let fits = |one: &Value| mismatch(document, one, value, place).is_none();
        if !choices.iter().any(fits) {
            return Some(format!("{place} is none of {choice}: {value}"));
        }
    }
    None
}

/// Returns the mismatch of type or enumeration of a value.
fn wrong_kind(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let known = schema["enum"].as_array();
    if known.is_some_and(|known| !known.contains(value)) {
        return Some(format!("{place} is no known value: {value}"));
    }

    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.as_slice(),
        Value::Null => return None,
        kind => std::slice::from_ref(kind),
    };
    let is_right = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        _ => panic!("{place}: the type {kind} has no case here"),
    };
    let fits = kinds.iter().any(is_right);
    (!fits).then(|| format!("{place} is no {}: {value}", schema["type"]))
}

/// Returns the mismatch of the fields or items of a value.
fn wrong_content(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
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

/// The resources that operations need.
struct Place<'u> {
    world: &'u World,
    stub: &'u Stub,
    ann: &'u User<'u>,
    root: &'u User<'u>,
    cases: Cases<'u>,
    resources: Vec<Resource>,
    book: Book,
}

impl Place<'_> {
    /// Calls an operation.
    async fn answer(&self, seq: i64, method: &Method, path: &str) -> Answer {
        if path.starts_with("/v1/auth/") {
            return self.signing_in(path).await;
        }
        if [Method::POST, Method::PUT].contains(method) {
            let (user, id, body) = self.cases.of(seq, method, path).await;
            let path = path.replace("{id}", &id);
            return user.send(method.clone(), &path, Some(body)).await;
        }

        let root = self.root;
        match (method.as_str(), path) {
            ("DELETE", "/v1/users/me") => self.world.user("leaving").await.delete(path).await,
            ("DELETE", "/v1/trading-logs/{id}") => {
                let log = root.log(self.book.note()).await.id();
                root.delete(&path.replace("{id}", &log)).await
            }
            ("GET", "/v1/users/{id}") => {
                let ann = self.ann.id.to_string();
                root.get(&path.replace("{id}", &ann)).await
            }
            ("GET", "/v1/events/replay/{id}") => {
                let range = json!({"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"});
                let replay = root.post("/v1/events/replay", range).await.id();
                root.get(&path.replace("{id}", &replay)).await
            }
            ("GET", path) if !path.contains('{') => root.get(path).await,
            (method_name, path) => {
                let own = path_of(root, &self.resources, method_name, path).await;
                root.send(method.clone(), &own, None).await
            }
        }
    }

    async fn signing_in(&self, path: &str) -> Answer {
        let world = self.world;
        let stub = self.stub;

        match path {
            "/v1/auth/login" => {
                let body = json!({"provider": "google", "redirect_uri": REDIRECT, "login_challenge": "A".repeat(43)});
                world.post(path, body).await
            }
            "/v1/auth/callback" => by_google(world, stub, "g-1", "new@example.com", true).await,
            "/v1/auth/refresh" => {
                let tokens = by_google(world, stub, "g-2", "other@example.com", true).await;
                let token = &tokens.data()["refresh_token"];
                world.post(path, json!({"refresh_token": token})).await
            }
            "/v1/auth/logout-all" => world.user("left").await.post(path, json!({})).await,
            "/v1/auth/logout" => world.user("going").await.post_empty(path).await,
            other => panic!("{other} has no case here"),
        }
    }
}

/// Asserts that the stream begins.
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
async fn every_operation_matches_the_document() {
    let exchanges = Exchanges::start().await;
    let stub = Stub::start().await;
    let world = World::start_with(|settings| {
        settings.exchanges = exchanges.settings(false);
        settings.providers = stub.settings();
    })
    .await;
    let ann = world.user("ann").await;
    let root = world.admin("root").await;
    let book = root.book("own", "10", "10").await;
    let place = Place {
        world: &world,
        stub: &stub,
        ann: &ann,
        root: &root,
        cases: Cases::new(&ann, &root).await,
        resources: resources(&root, &book).await,
        book,
    };
    let document = document();

    for (seq, (method, path, operation)) in (100..).zip(operations()) {
        if path == "/v1/stream" {
            assert_streams(&ann).await;
            continue;
        }
        if path == "/v1/transactions/export" {
            ann.get(&path).await.assert_status(200);
            continue;
        }

        let method: Method = method.parse().expect("a method");
        let answer = place.answer(seq, &method, &path).await;

        assert!(answer.status.is_success(), "{answer}");
        let response = &operation["responses"][answer.status.as_str()];
        assert!(response.is_object(), "not documented: {answer}");
        let schema = &response["content"][JSON]["schema"];
        assert!(schema.is_object(), "{method} {path}: {response}");
        let why = mismatch(&document, schema, &answer.body, "$");
        assert_eq!(why, None, "{answer}");
        assert_recorded(&world, &method, &path, &answer).await;
    }
}
