//! Checks the parameters of a request against those that the OpenAPI document lists for its operation.
//!
//! An unknown parameter would otherwise be ignored, so that a misspelled filter selects everything; a repeated one would
//! count once. Ids have one spelling, because texts are compared with them.

use super::document::shape;
use poem::http::Method;
use poem::{PathPattern, Request};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use tiris_domain::ids;
use tiris_store::error::{Error, Result};

/// Characters of an unknown name that an error repeats.
const SHOWN_CHARS_MAX: usize = 64;
/// Similarity, from 0 to 1, from which a name counts as a misspelling.
const SIMILAR: f64 = 0.5;

/// The parameters of every operation.
pub(crate) struct Parameters(HashMap<(Method, String), Known>);

/// The parameters of an operation.
struct Known {
    query: Vec<QueryParameter>,
    /// The parameters of the path in its order, with whether each is an id.
    path: Vec<(String, bool)>,
    /// The fields of the body.
    fields: Vec<String>,
}

struct QueryParameter {
    name: String,
    is_id: bool,
    is_list: bool,
}

impl Parameters {
    /// Reads the completed document.
    pub(crate) fn of(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| (path, method, operation))
        });

        let known = operations.filter_map(|(path, method, operation)| {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
            Some(((method, shape(path)), Known::of(&document, path, operation)))
        });
        Self(known.collect())
    }

    /// Fails when the request has a parameter that its operation does not know, or one in an unusual form.
    pub(crate) fn check(request: &Request) -> Result<()> {
        let Some(known) = request.data::<Arc<Self>>() else {
            return Ok(());
        };
        let Some(operation) = known.of_request(request) else {
            return Ok(());
        };

        operation.check_path(request)?;
        let given: Vec<(String, String)> = request.params().unwrap_or_default();
        operation.check_query(&given)
    }

    fn of_request(&self, request: &Request) -> Option<&Known> {
        let pattern = request.data::<PathPattern>()?;
        let method = match request.method() {
            // Every GET also serves HEAD.
            &Method::HEAD => Method::GET,
            method => method.clone(),
        };
        self.0.get(&(method, shape(&pattern.0)))
    }
}

impl Known {
    fn of(document: &Value, path: &str, operation: &Value) -> Self {
        let parameters = operation["parameters"].as_array();
        let listed: Vec<&Value> = parameters.into_iter().flatten().collect();
        let query = listed.iter().filter(|parameter| parameter["in"] == "query");
        let is_id = |name: &str| {
            let mut in_path = listed.iter().filter(|parameter| parameter["in"] == "path");
            in_path.any(|parameter| parameter["name"] == name && is_uuid(parameter))
        };
        let names = path.split('/').filter_map(|part| {
            let name = part.strip_prefix('{')?;
            name.strip_suffix('}')
        });

        Self {
            query: query
                .map(|parameter| QueryParameter::of(parameter))
                .collect(),
            path: names.map(|name| (name.to_owned(), is_id(name))).collect(),
            fields: fields_of_body(document, operation),
        }
    }

    fn check_path(&self, request: &Request) -> Result<()> {
        for (at, (name, is_id)) in self.path.iter().enumerate() {
            let given = request.raw_path_param(&format!("param{at}"));
            if let Some(given) = given.filter(|_| *is_id) {
                check_id(name, given)?;
            }
        }
        Ok(())
    }

    fn check_query(&self, given: &[(String, String)]) -> Result<()> {
        for (name, value) in given {
            let known = self.query.iter().find(|known| known.name == *name);
            let known = known.ok_or_else(|| Error::InvalidRequest(self.unknown(name)))?;

            let times = given.iter().filter(|(other, _)| other == name).count();
            if times > 1 && !known.is_list {
                let why = format!("is given {times} times: send it once");
                return Err(invalid(&known.name, why));
            }
            if known.is_id {
                check_id(&known.name, value)?;
            }
        }
        Ok(())
    }

    /// Explains that the operation has no such parameter, and which was probably meant.
    fn unknown(&self, name: &str) -> String {
        let shown: String = name.chars().take(SHOWN_CHARS_MAX).collect();
        let names = self.query.iter().map(|known| known.name.as_str());

        if self.fields.iter().any(|field| field == name) {
            return format!("{shown} is no query parameter: send it as a field of the body");
        }
        if self.query.is_empty() {
            return format!("{shown} is unknown: this operation has no query parameters");
        }
        match nearest(name, names.clone()) {
            Some(near) => {
                format!("{shown} is no parameter of this operation; did you mean {near}?")
            }
            None => {
                let names: Vec<&str> = names.collect();
                let names = names.join(", ");
                format!("{shown} is no parameter of this operation; it has {names}")
            }
        }
    }
}

impl QueryParameter {
    fn of(parameter: &Value) -> Self {
        Self {
            name: parameter["name"].as_str().unwrap_or_default().to_owned(),
            is_id: is_uuid(parameter),
            is_list: parameter["schema"]["type"] == "array",
        }
    }
}

fn is_uuid(parameter: &Value) -> bool {
    parameter["schema"]["format"] == "uuid"
}

fn fields_of_body(document: &Value, operation: &Value) -> Vec<String> {
    let contents = operation["requestBody"]["content"].as_object();
    let schemas = contents.into_iter().flat_map(Map::values);
    let schemas = schemas.filter_map(|content| {
        let reference = content["schema"]["$ref"].as_str()?;
        document.pointer(reference.strip_prefix('#')?)
    });

    let properties = schemas.filter_map(|schema| schema["properties"].as_object());
    properties.flat_map(Map::keys).cloned().collect()
}

/// Fails when an id is not spelled as this service writes it.
fn check_id(name: &str, given: &str) -> Result<()> {
    let id = ids::canonical(&given.into());
    id.map(|_| ()).map_err(|why| invalid(name, why.to_string()))
}

fn invalid(name: &str, why: String) -> Error {
    Error::InvalidValue {
        field: name.to_owned().into(),
        why,
    }
}

/// Returns the name that is most similar to `given`, unless none is.
pub(crate) fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let similarity = |name: &str| strsim::normalized_damerau_levenshtein(&given, name);

    names
        .map(|name| (similarity(name), name))
        .filter(|(similar, _)| *similar >= SIMILAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::document::completed;
    use crate::http::router::service;

    fn known(method: Method, path: &str) -> Known {
        let mut parameters = Parameters::of(&completed(&service().spec()));
        let known = parameters.0.remove(&(method, shape(path)));
        known.expect("an operation")
    }

    fn refusal(known: &Known, query: &[(&str, &str)]) -> String {
        let given: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        match known.check_query(&given) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn names_the_parameter_that_was_meant() {
        let transactions = known(Method::GET, "/v1/transactions");
        let me = known(Method::GET, "/v1/users/me");
        let replay = known(Method::POST, "/v1/events/dead-letters/:id/replay");

        for (known, name, expected) in [
            (&transactions, "start_date", ""),
            (&transactions, "strat_date", "did you mean start_date?"),
            (&transactions, "Limit", "did you mean limit?"),
            (&transactions, "page_token", "it has trading_id, "),
            (&me, "x", "has no query parameters"),
            (&replay, "dry_run", "as a field of the body"),
        ] {
            let refusal = refusal(known, &[(name, "1")]);

            assert_eq!(refusal.is_empty(), expected.is_empty(), "{name}: {refusal}");
            assert!(refusal.contains(expected), "{name}: {refusal}");
        }
    }

    #[test]
    fn rejects_a_repeated_parameter_and_other_spellings_of_an_id() {
        let transactions = known(Method::GET, "/v1/transactions");
        let id = "01928f2e-7c3a-7b6f-9d10-3f5d2a1b4c5e";

        let once = refusal(&transactions, &[("limit", "1"), ("trading_id", id)]);
        let twice = refusal(&transactions, &[("limit", "1"), ("limit", "2")]);
        let upper = refusal(&transactions, &[("trading_id", &id.to_uppercase())]);

        assert_eq!(once, "");
        assert!(twice.contains("is given 2 times"), "{twice}");
        assert!(upper.contains(id), "{upper}");
    }

    #[test]
    fn a_change_is_named_by_its_path_alone() {
        let parameters = Parameters::of(&completed(&service().spec()));

        for ((method, path), known) in &parameters.0 {
            let takes_key = [Method::POST, Method::PUT].contains(method);
            assert!(!takes_key || known.query.is_empty(), "{method} {path}");
        }
    }
}
