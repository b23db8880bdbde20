//! The OpenAPI document: committed, complete, served.

use crate::world::World;
use serde_json::{Value, json};
use std::collections::BTreeSet;

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

/// Returns a name as most generators write it.
fn generated(name: &str) -> String {
    name.to_lowercase().replace(['-', '_'], "")
}

#[test]
fn generators_can_use_the_names() {
    let is_snake = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let is_header = |name: &str| name.chars().all(|c| c.is_ascii_alphabetic() || c == '-');
    let is_camel = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_alphabetic())
    };
    let mut ids = BTreeSet::new();

    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id");
        assert!(is_camel(id), "{id}");
        assert!(ids.insert(generated(id)), "{id} twice");

        let mut names = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            let is_usable = is_snake(name) || parameter["in"] == "header" && is_header(name);
            assert!(is_usable, "{method} {path}: {name}");
            assert!(
                names.insert(generated(name)),
                "{method} {path}: {name} twice"
            );
            // A schema in place becomes a type with the name of the parameter.
            let schema = &parameter["schema"];
            let is_composed = ["allOf", "anyOf", "oneOf", "enum", "properties"]
                .iter()
                .any(|word| !schema[word].is_null());
            assert!(!is_composed, "{method} {path}: {name}");
        }
    }

    let document = document();
    let schemas = document["components"]["schemas"].as_object();
    let mut names = BTreeSet::new();
    for name in schemas.expect("schemas").keys() {
        let is_taken = [
            "Object", "Array", "String", "Number", "Map", "Error", "Date",
        ];
        assert!(!is_taken.contains(&name.as_str()), "{name}");
        assert!(names.insert(generated(name)), "{name} twice");
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

/// Returns whether a property can be null, by its type or by one of its choices. Free JSON can always be.
fn is_nullable(property: &Value) -> bool {
    let kinds = property["type"].as_array().into_iter().flatten();
    let choices = ["anyOf", "oneOf"].map(|choice| property[choice].as_array());
    let choices = choices.into_iter().flatten().flatten();

    let mut kinds = kinds.chain(choices.map(|choice| &choice["type"]));
    kinds.any(|kind| kind == "null")
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

/// Returns the places of what a document of OpenAPI 3.1 does not have: wrappers of one schema, and the words of 3.0.
fn outdated(value: &Value, place: &str) -> Vec<String> {
    let words = ["nullable", "exclusiveMinimum", "exclusiveMaximum"];
    let mut found = Vec::new();

    if let Some(fields) = value.as_object() {
        for word in words {
            if fields.get(word).is_some_and(Value::is_boolean) {
                found.push(format!("{place}/{word}"));
            }
        }
        let parts = fields.get("allOf").and_then(Value::as_array);
        let is_real = |part: &&Value| {
            part.as_object()
                .is_some_and(|part| part.keys().any(|key| key != "description"))
        };
        if parts.is_some_and(|parts| parts.iter().filter(is_real).count() == 1) {
            found.push(format!("{place}/allOf"));
        }
        for (name, field) in fields {
            found.extend(outdated(field, &format!("{place}/{name}")));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(outdated(item, place));
    }
    found
}

#[test]
fn references_have_descriptions_and_no_wrapper() {
    let document = document();
    let trading = &document["components"]["schemas"]["Trading"]["properties"];

    assert_eq!(document["openapi"], "3.1.0");
    let found = outdated(&document, "");
    assert!(found.is_empty(), "{found:?}");
    let status = json!({"$ref": "#/components/schemas/TradingStatus", "description": "Whether a bot should work on it"});
    assert_eq!(trading["status"], status);
    let binding = json!([{"$ref": "#/components/schemas/BindingSummary"}, {"type": "null"}]);
    assert_eq!(trading["exchange_binding"]["anyOf"], binding);
    assert_eq!(
        trading["exchange_binding_id"]["type"],
        json!(["string", "null"])
    );
}

#[test]
fn the_trade_example_names_two_accounts() {
    let example =
        document()["components"]["schemas"]["NewTradingLog"]["examples"][0]["info"].clone();
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
