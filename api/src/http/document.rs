//! The OpenAPI document: completes the one that the framework generates.

mod errors;
mod json_schema;
mod nulls;

use super::policy::{NO_JSON, Refusal, TOO_LARGE};
use super::reply::REPLAYED;
use super::{idempotency, page};
use crate::routes::Tag;
use poem_openapi::Tags;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt;

const KEY_REUSED: &str =
    "`IDEMPOTENCY_KEY_REUSED`: the idempotency key was used with another request body";
/// The refusal of parameters that every operation shares.
const PARAMETERS: Refusal = (
    400,
    "`INVALID_REQUEST`: a query parameter that the operation does not have; `details` names the nearest one",
);
/// Paths whose operations take no idempotency key, because their responses are new each time.
const SIGN_IN: &str = "/v1/auth/";

/// Returns the description of the API: how to begin, what all operations share, and the error codes.
pub(super) fn introduction() -> String {
    include_str!("document/introduction.md").to_owned() + &errors::table()
}

/// Completes the generated document with what the framework cannot express.
pub(crate) fn completed(generated: &str) -> String {
    // The framework generates valid JSON.
    let Ok(mut document) = read(generated) else {
        return generated.to_owned();
    };

    nulls::describe(&mut document);
    sort_tags(&mut document);
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            // Make public operations explicit.
            if operation["security"].is_null() {
                operation["security"] = json!([]);
            }
            add_refusal(operation, PARAMETERS);
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            parameters.into_iter().flatten().for_each(bound);
            if !operation["requestBody"].is_null() {
                add_refusal(operation, TOO_LARGE);
                add_refusal(operation, NO_JSON);
            }
            if ["post", "put"].contains(&method.as_str()) && !path.starts_with(SIGN_IN) {
                add_idempotency_key(operation);
            }
        }
    }

    json_schema::adopt(&mut document);
    serde_json::to_string_pretty(&document).unwrap_or_else(|_| generated.to_owned())
}

/// Sorts the tags for readers; the framework sorts them by name.
fn sort_tags(document: &mut Value) {
    let place = |tag: &Value| {
        Tag::ORDER
            .iter()
            .position(|known| tag["name"] == known.name())
    };
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.sort_by_key(place);
    }
}

/// Reads the document. The framework repeats a path for each operation, and JSON keeps the last of equal keys.
fn read(generated: &str) -> serde_json::Result<Value> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(deserialize_with = "merged")]
        paths: Map<String, Value>,
    }

    let Document { paths } = serde_json::from_str(generated)?;
    let mut document: Value = serde_json::from_str(generated)?;
    document["paths"] = Value::Object(paths);
    Ok(document)
}

/// Merges the values of equal keys, which are objects.
fn merged<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    struct Merged;

    impl<'de> Visitor<'de> for Merged {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("paths")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut paths: A) -> Result<Self::Value, A::Error> {
            let mut merged = Map::new();
            while let Some((path, item)) = paths.next_entry::<String, Map<String, Value>>()? {
                let known = merged.entry(path).or_insert_with(|| json!({}));
                if let Some(known) = known.as_object_mut() {
                    known.extend(item);
                }
            }
            Ok(merged)
        }
    }

    deserializer.deserialize_map(Merged)
}

/// Sets the bounds of the parameters `limit` and `offset`.
fn bound(parameter: &mut Value) {
    let (minimum, maximum) = match parameter["name"].as_str() {
        Some("limit") => (1, page::LIMIT_MAX),
        Some("offset") => (0, page::OFFSET_MAX),
        _ => return,
    };
    parameter["schema"]["minimum"] = minimum.into();
    parameter["schema"]["maximum"] = maximum.into();
}

/// Adds the idempotency key to the parameters and responses of an operation.
fn add_idempotency_key(operation: &mut Value) {
    let parameter = json!({
        "name": idempotency::HEADER, "in": "header", "required": false, "deprecated": false, "explode": true,
        "schema": {"type": "string", "minLength": 1, "maxLength": idempotency::KEY_LENGTH_MAX, "pattern": "^[ -~]+$"},
        "description": "Makes the request safe to retry: for 24 hours, the same key with the same body on the same path \
                        returns the first response again and changes nothing. Use a new key, such as a UUID, for each new \
                        request. Failures are not stored.",
    });

    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }

    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if status.starts_with('2') {
            response["headers"][REPLAYED.as_str().to_uppercase()] = json!({
                "description": "`true` if this is the stored response to an earlier request with the same key",
                "required": false, "deprecated": false, "schema": {"type": "string"},
            });
        }
    }
    // The key is checked against the body, so a body is read even where the operation takes none.
    add_refusal(operation, TOO_LARGE);
    add_refusal(operation, (409, KEY_REUSED));
}

/// Documents a refusal, unless the operation has it; all refusals have the same form.
fn add_refusal(operation: &mut Value, (status, description): Refusal) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    let mut refusal = responses.get("500").cloned().unwrap_or_default();
    let known = responses
        .get(&status.to_string())
        .and_then(|response| response["description"].as_str());

    refusal["description"] = match known {
        Some(known) if known.contains(description) => return,
        Some(known) => format!("{known}; {description}").into(),
        None => description.into(),
    };
    responses.insert(status.to_string(), refusal);
    responses.sort_keys();
}

/// The methods of every documented path.
pub(crate) struct Methods(HashMap<String, String>);

impl Methods {
    pub(crate) fn of(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let methods = |(path, item): (&String, &Value)| {
            let names = item.as_object().into_iter().flat_map(Map::keys);
            let names: Vec<String> = names.map(|name| name.to_uppercase()).collect();
            // Every GET also serves HEAD.
            (shape(path), names.join(", ").replace("GET", "GET, HEAD"))
        };

        Self(paths.map(methods).collect())
    }

    /// Returns the methods of the route with this pattern, if it is documented.
    pub(crate) fn methods(&self, pattern: &str) -> Option<&str> {
        self.0.get(&shape(pattern)).map(String::as_str)
    }
}

/// Returns a path without the names of its parameters, which the document and the router write differently.
pub(super) fn shape(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| {
        if part.starts_with(['{', ':']) {
            "{}"
        } else {
            part
        }
    });
    parts.collect::<Vec<_>>().join("/")
}
