//! Schemas as JSON Schema, which OpenAPI 3.1 uses: the framework generates those of OpenAPI 3.0.
//!
//! There a reference has no description of its own and null is no type, so generators made up wrappers for both.

use serde_json::{Map, Value, json};

/// The version of OpenAPI that the document follows.
const OPENAPI: &str = "3.1.0";

/// Rewrites the version and all schemas of the document.
pub(super) fn adopt(document: &mut Value) {
    document["openapi"] = OPENAPI.into();
    let components = document.pointer_mut("/components/schemas");
    let components = components.and_then(Value::as_object_mut);
    components
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(rewrite);
    rewrite_within(&mut document["paths"]);
}

/// Rewrites the schemas of parameters, bodies and headers.
fn rewrite_within(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == "schema" {
                    rewrite(field);
                } else {
                    rewrite_within(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite_within),
        _ => {}
    }
}

/// Rewrites a schema and those within it.
fn rewrite(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };

    for (name, field) in fields.iter_mut() {
        match (name.as_str(), field) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(rewrite);
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                parts.iter_mut().for_each(rewrite);
            }
            ("items" | "additionalProperties", field) => rewrite(field),
            _ => {}
        }
    }

    unwrap_reference(fields);
    if fields.remove("nullable") == Some(Value::Bool(true)) {
        allow_null(fields);
    }
    if let Some(example) = fields.remove("example") {
        fields.insert("examples".to_owned(), json!([example]));
    }
}

/// Replaces the wrapper of a reference that adds only a description.
fn unwrap_reference(fields: &mut Map<String, Value>) {
    let Some(parts) = fields.get("allOf").and_then(Value::as_array) else {
        return;
    };

    let mut unwrapped = Map::new();
    for part in parts.iter().filter_map(Value::as_object) {
        unwrapped.extend(part.clone());
    }
    let is_known = |name: &String| name == "$ref" || name == "description";
    if unwrapped.contains_key("$ref") && unwrapped.keys().all(is_known) {
        fields.remove("allOf");
        fields.extend(unwrapped);
    }
}

/// Allows null beside the values that a schema allows.
fn allow_null(fields: &mut Map<String, Value>) {
    let absent = json!({"type": "null"});

    if let Some(Value::Array(choices)) = fields.get_mut("oneOf") {
        choices.push(absent);
    } else if let Some(Value::Array(choices)) = fields.get_mut("anyOf") {
        choices.push(absent);
    } else if let Some(referred) = fields.remove("$ref") {
        fields.insert("anyOf".to_owned(), json!([{"$ref": referred}, absent]));
    } else if let Some(kind) = fields.get_mut("type") {
        *kind = json!([kind, "null"]);
        if let Some(Value::Array(known)) = fields.get_mut("enum") {
            known.push(Value::Null);
        }
    }
}
