//! The OpenAPI document, and what it says about routes.
//!
//! Owns: what the framework's document lacks. Must not know: single operations.

mod nulls;

use super::reply::REPLAYED;
use super::{idempotency, page};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt;

const REUSED: &str = "`IDEMPOTENCY_KEY_REUSED`: the key came with another body before";
/// Where no request has a key: what is answered there is new each time.
const SIGN_IN: &str = "/v1/auth/";

/// The document the framework made, with what is the same for many operations.
pub(crate) fn completed(made: &str) -> String {
    // The framework has just made it, so it is JSON.
    let Ok(mut document) = read(made) else {
        return made.to_owned();
    };

    nulls::tell(&mut document);
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            // Otherwise nothing tells that no token is needed from that somebody forgot to say so.
            if operation["security"].is_null() {
                operation["security"] = json!([]);
            }
            let parameters = operation
                .get_mut("parameters")
                .and_then(Value::as_array_mut);
            parameters.into_iter().flatten().for_each(bound);
            if ["post", "put"].contains(&method.as_str()) && !path.starts_with(SIGN_IN) {
                tell_key(operation);
            }
        }
    }

    serde_json::to_string_pretty(&document).unwrap_or_else(|_| made.to_owned())
}

/// Reads the document. The framework repeats a path for every operation, and JSON keeps the last of equal keys.
fn read(made: &str) -> serde_json::Result<Value> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(deserialize_with = "merged")]
        paths: Map<String, Value>,
    }

    let Document { paths } = serde_json::from_str(made)?;
    let mut document: Value = serde_json::from_str(made)?;
    document["paths"] = Value::Object(paths);
    Ok(document)
}

/// An object whose equal keys hold objects, which become one.
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

/// The bounds of a parameter that many lists have.
fn bound(parameter: &mut Value) {
    let (minimum, maximum) = match parameter["name"].as_str() {
        Some("limit") => (1, page::LIMIT_MAX),
        Some("offset") => (0, page::OFFSET_MAX),
        Some(_) | None => return,
    };
    parameter["schema"]["minimum"] = minimum.into();
    parameter["schema"]["maximum"] = maximum.into();
}

/// That an operation takes an idempotency key, and what comes of it.
fn tell_key(operation: &mut Value) {
    let parameter = json!({
        "name": idempotency::HEADER, "in": "header", "required": false, "deprecated": false, "explode": true,
        "schema": {"type": "string", "minLength": 1, "maxLength": idempotency::KEY_LENGTH_MAX, "pattern": "^[ -~]+$"},
        "description": "Makes the request safe to repeat: for 24 hours, the same key with the same body on the same path \
                        gives the first answer again and does nothing. What was refused is not remembered.",
    });

    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }

    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };

    for (_, response) in responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with('2'))
    {
        response["headers"][REPLAYED.as_str().to_uppercase()] = json!({
            "description": "`true` when this is the answer to an earlier request with the same idempotency key",
            "required": false, "deprecated": false, "schema": {"type": "string"},
        });
    }

    let told = match responses
        .get("409")
        .and_then(|response| response["description"].as_str())
    {
        Some(others) => format!("{others}; {REUSED}"),
        None => REUSED.to_owned(),
    };

    // All refusals have one form.
    let mut conflict = responses.get("500").cloned().unwrap_or_default();

    conflict["description"] = told.into();
    responses.insert("409".to_owned(), conflict);
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
            // Whatever can be read can be asked for its headers alone.
            let head = |name: String| {
                if name == "GET" {
                    "GET, HEAD".to_owned()
                } else {
                    name
                }
            };
            let names: Vec<String> = names.map(|name| head(name.to_uppercase())).collect();
            (shape(path), names.join(", "))
        };

        Self(paths.map(methods).collect())
    }

    /// The methods of the route with this pattern, none when it is not documented.
    pub(crate) fn methods(&self, pattern: &str) -> Option<&str> {
        self.0.get(&shape(pattern)).map(String::as_str)
    }
}

/// A path without the names of its parameters, which document and router write differently.
fn shape(path: &str) -> String {
    let part = |part: &str| {
        if part.starts_with(['{', ':']) {
            "{}".to_owned()
        } else {
            part.to_owned()
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}
