//! The OpenAPI document: committed, complete, served.

use crate::world::World;
use serde_json::{Value, json};

/// Schemas of request bodies.
const REQUEST_SCHEMAS: [&str; 21] = [
    "NewTrading",
    "NewTradingAccount",
    "TradingChange",
    "NewSubAccount",
    "SubAccountChange",
    "MoneyMove",
    "NewTradingLog",
    "NewBinding",
    "BindingChange",
    "Profile",
    "Disabling",
    "Renewal",
    "Login",
    "Callback",
    "LogoutScope",
    "ReplayOne",
    "DiscardOne",
    "ReplayMany",
    "DiscardMany",
    "Selection",
    "NewReplay",
];

pub(crate) fn document() -> Value {
    serde_json::from_str(&tiris_api::command::openapi::document()).expect("JSON")
}

/// Returns every operation as method, path and description.
pub(crate) fn operations() -> Vec<(String, String, Value)> {
    let document = document();
    let mut operations = Vec::new();

    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }

    operations
}

#[test]
fn the_committed_document_matches_the_code() {
    let committed = include_str!("../../openapi.json");
    assert!(
        committed.trim_end() == tiris_api::command::openapi::document().trim_end(),
        "api/openapi.json is out of date: cargo run -p tiris-api -- openapi > api/openapi.json"
    );
}

#[test]
fn every_operation_is_described() {
    for (method, path, operation) in operations() {
        let name = format!("{method} {path}");
        let is_known = path.starts_with("/v1/") || path == "/" || path.starts_with("/health/");
        assert!(is_known, "{name}");
        for field in ["summary", "operationId"] {
            let text = operation[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{name}: {field}");
        }
        let tags = operation["tags"].as_array().map(Vec::len);
        assert_eq!(tags, Some(1), "{name}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_described = parameter["description"].is_string();
            assert!(is_described, "{name}: {}", parameter["name"]);
        }
    }
}

/// Returns the error statuses that an operation must document.
fn failures(path: &str, operation: &Value) -> Vec<&'static str> {
    let mut expected = vec!["500"];
    let security = operation["security"].as_array();
    if security.is_some_and(|schemes| !schemes.is_empty()) {
        expected.extend(["401", "403", "503"]);
    }
    if path.contains('{') {
        expected.extend(["400", "404"]);
    }
    if operation["requestBody"].is_object() {
        expected.extend(["400", "413", "415"]);
    }
    expected
}

#[test]
fn every_operation_documents_its_responses() {
    for (method, path, operation) in operations() {
        let name = format!("{method} {path}");
        let responses = operation["responses"].as_object().expect("responses");
        let mut statuses = responses.keys();
        assert!(statuses.any(|status| status.starts_with('2')), "{name}");

        for status in failures(&path, &operation) {
            let response = responses.get(status);
            let response = response.unwrap_or_else(|| panic!("{name}: {status}"));
            let retries = response["headers"]["Retry-After"].is_object();
            assert_eq!(retries, status == "503", "{name}: {status}");
            let description = response["description"].as_str().unwrap_or_default();
            assert!(description.contains('`'), "{name}: {status}");
        }
    }
}

#[test]
fn every_write_except_sign_in_takes_an_idempotency_key() {
    for (method, path, operation) in operations() {
        let takes = (method == "POST" || method == "PUT") && !path.starts_with("/v1/auth/");
        let mut parameters = operation["parameters"].as_array().into_iter().flatten();
        let key = parameters.find(|parameter| parameter["name"] == "Idempotency-Key");

        assert_eq!(key.is_some(), takes, "{method} {path}");

        let Some(key) = key else { continue };

        assert_eq!(key["in"], "header");
        assert_eq!(key["required"], false);
        assert_eq!(key["schema"]["minLength"], 1);
        assert_eq!(key["schema"]["maxLength"], 128);

        let responses = operation["responses"].as_object().expect("responses");
        let conflict = responses["409"]["description"]
            .as_str()
            .expect("a description");

        assert!(
            conflict.contains("`IDEMPOTENCY_KEY_REUSED`"),
            "{method} {path}: {conflict}"
        );
        assert!(
            responses["409"]["content"]["application/json; charset=utf-8"].is_object(),
            "{method} {path}"
        );

        for (status, response) in responses {
            let replayed = response["headers"]["IDEMPOTENCY-REPLAYED"].is_object();
            assert_eq!(
                replayed,
                status.starts_with('2'),
                "{method} {path} {status}"
            );
        }
    }
}

#[test]
fn every_field_of_a_request_is_described() {
    let document = document();
    for name in REQUEST_SCHEMAS {
        let schema = &document["components"]["schemas"][name];
        for (field, property) in schema["properties"].as_object().expect(name) {
            let described = property["description"].is_string() || property["$ref"].is_string();
            assert!(described, "{name}.{field}");
        }
    }
}

/// Returns whether a property can be null, by its type or by one of its choices.
fn is_nullable(property: &Value) -> bool {
    let choices = property["oneOf"].as_array().into_iter().flatten();
    property["nullable"] == true
        || choices
            .into_iter()
            .any(|choice| choice["enum"] == json!([null]))
}

#[test]
fn nullable_response_fields_are_required() {
    let document = document();
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    let mut nullable = 0;

    for (name, schema) in schemas
        .iter()
        .filter(|(name, _)| !REQUEST_SCHEMAS.contains(&name.as_str()))
    {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            if is_nullable(property) {
                nullable += 1;
                let required = schema["required"].as_array().expect(name);
                assert!(
                    required.contains(&Value::from(field.as_str())),
                    "{name}.{field}"
                );
            }
        }
    }
    assert!(nullable > 10, "{nullable} nullable fields");
    assert!(
        is_nullable(&schemas["Trading"]["properties"]["exchange_binding"]),
        "also what is referred to"
    );

    let page = &schemas["Pagination"]["required"];
    assert_eq!(
        page,
        &json!(["limit", "has_more", "next_cursor"]),
        "the others can be left out"
    );
}

#[test]
fn optional_request_fields_may_be_null() {
    let document = document();
    for name in REQUEST_SCHEMAS {
        let schema = &document["components"]["schemas"][name];
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (field, property) in schema["properties"].as_object().expect(name) {
            let is_required = required.contains(&Value::from(field.as_str()));
            assert_eq!(is_nullable(property), !is_required, "{name}.{field}");
        }
    }
}

#[test]
fn the_trade_example_names_two_accounts() {
    let example = document()["components"]["schemas"]["NewTradingLog"]["example"]["info"].clone();
    assert_ne!(
        example["stock_account_id"], example["currency_account_id"],
        "the ledger refuses the same one"
    );
}

#[tokio::test]
async fn serves_document_keys_and_swagger_ui() {
    let world = World::start().await;

    let served = world.anonymous("/openapi.json").await;

    assert_eq!(
        served.text.trim_end(),
        tiris_api::command::openapi::document().trim_end()
    );
    assert_eq!(served.body["servers"][0]["url"], "/");
    assert_eq!(
        served.body["components"]["securitySchemes"]["AccessToken"]["scheme"],
        "bearer"
    );

    let keys = world.anonymous("/.well-known/jwks.json").await;
    assert_eq!(keys.body["keys"][0]["crv"], "Ed25519");

    for path in ["/docs", "/docs/"] {
        let page = world.anonymous(path).await;

        assert!(page.header("content-type").starts_with("text/html"));
        page.assert_contains("SwaggerUIBundle");
        page.assert_contains("createTradingLog");
        page.assert_contains(served.text.trim_end());

        let fetched = ["<script src", "<link", "@import url(http"];
        assert!(
            fetched.iter().all(|tag| !page.text.contains(tag)),
            "the page needs nothing else"
        );
    }
}
