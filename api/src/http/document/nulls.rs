//! Null in the OpenAPI document: the framework does not distinguish it from absence.
//!
//! Responses always contain their nullable fields. Requests may leave out optional fields, and null counts as absent there.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Describes null as clients see it.
pub(super) fn describe(document: &mut Value) {
    let requests = request_schemas(document);
    let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    else {
        return;
    };

    for (name, schema) in schemas {
        if requests.contains(name) {
            allow_null_for_absence(schema);
        } else {
            require_nullable(schema);
        }
    }
}

/// Returns the names of all schemas within request bodies.
fn request_schemas(document: &Value) -> BTreeSet<String> {
    let items = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    let operations = items.filter_map(Value::as_object).flat_map(Map::values);
    let mut waiting: Vec<&Value> = operations
        .map(|operation| &operation["requestBody"])
        .collect();
    let mut found = BTreeSet::new();

    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                waiting.extend(fields.values());
                let name = fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .and_then(|path| path.rsplit('/').next());
                if let Some(name) = name.filter(|name| found.insert((*name).to_owned())) {
                    waiting.push(&document["components"]["schemas"][name]);
                }
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }

    found
}

fn is_required(schema: &Value, name: &str) -> bool {
    schema["required"]
        .as_array()
        .is_some_and(|names| names.iter().any(|known| known == name))
}

fn require_nullable(schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let required: Vec<Value> = properties
        .iter()
        .filter(|(name, property)| property["nullable"] == true || is_required(schema, name))
        .map(|(name, _)| name.as_str().into())
        .collect();
    if !required.is_empty() {
        schema["required"] = required.into();
    }
}

fn allow_null_for_absence(schema: &mut Value) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let optional: Vec<String> = properties
        .keys()
        .filter(|name| !is_required(schema, name))
        .cloned()
        .collect();
    for name in optional {
        schema["properties"][name]["nullable"] = true.into();
    }
}
