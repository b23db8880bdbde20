//! Null in the OpenAPI document, which the framework takes for the same as absence.
//!
//! Owns: which fields can be null and which must be there. Must not know: single operations.
//!
//! Answers never leave out a field that can be null. Requests may leave out what is not required, and null there counts
//! as absent.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Tells null as callers meet it.
pub(super) fn tell(document: &mut Value) {
    let asked = asked(document);
    let Some(schemas) = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for (name, schema) in schemas {
        if asked.contains(name) {
            allow_null_for_absence(schema);
        } else {
            require_nullable(schema);
        }
        let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
        let properties = properties.into_iter().flat_map(Map::values_mut);
        properties
            .filter(|property| property["nullable"] == true)
            .for_each(tell_null_choice);
    }
}

/// The schemas that request bodies consist of.
fn asked(document: &Value) -> BTreeSet<String> {
    let items = document["paths"]
        .as_object()
        .into_iter()
        .flat_map(Map::values);
    let operations = items.filter_map(Value::as_object).flat_map(Map::values);
    let mut waiting: Vec<&Value> = operations
        .map(|operation| &operation["requestBody"])
        .collect();
    let mut asked = BTreeSet::new();

    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                waiting.extend(fields.values());
                let name = fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .and_then(|path| path.rsplit('/').next());
                if let Some(name) = name.filter(|name| asked.insert((*name).to_owned())) {
                    waiting.push(&document["components"]["schemas"][name]);
                }
            }
            Value::Array(items) => waiting.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    asked
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

/// `nullable` says something only beside a type: elsewhere null is one of several choices.
fn tell_null_choice(property: &mut Value) {
    if property.get("type").is_some() {
        return;
    }

    let Some(fields) = property.as_object_mut() else {
        return;
    };
    let absent = json!({"type": "object", "nullable": true, "enum": [null]});

    if let Some(choices) = fields.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.push(absent);
    } else if let Some(referred) = fields
        .remove("allOf")
        .and_then(|parts| parts.get(0).cloned())
    {
        fields.insert("oneOf".to_owned(), json!([referred, absent]));
    } else if let Some(referred) = fields.remove("$ref") {
        fields.insert("oneOf".to_owned(), json!([{"$ref": referred}, absent]));
    }
    fields.remove("nullable");
}
