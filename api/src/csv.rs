//! Rows as comma-separated values (RFC 4180), safe to open in a spreadsheet.
//!
//! The crate `csv` has a single quoting rule per file. These rules also quote cells with semicolons, at which spreadsheets
//! split cells, and with outer blanks, and leave absent values unquoted, which COPY reads as NULL.

use poem::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use poem::web::Accept;
use poem::{Body, Response};
use serde::Serialize;
use serde_json::Value;
use tiris_store::error::{Error, Result};

pub(crate) const MEDIA_TYPE: &str = "text/csv";
const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";
const LINE_END: &str = "\r\n";
/// Spreadsheets execute a cell that begins with one of these as a formula.
const FORMULA_STARTS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Returns whether the client prefers CSV to JSON.
pub(crate) fn is_wanted(accept: &Accept) -> bool {
    let known = accept.0.iter().map(|media_type| media_type.essence_str());
    let mut known =
        known.filter(|essence| [MEDIA_TYPE, "application/json", "*/*"].contains(essence));
    known.next() == Some(MEDIA_TYPE)
}

/// Returns a response that a browser saves under `name`.
pub(crate) fn response(name: &str, body: Body) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    Response::builder()
        .content_type(CONTENT_TYPE)
        .header(CONTENT_DISPOSITION, disposition)
        .header(CACHE_CONTROL, "no-store")
        .body(body)
}

/// Returns the first line.
pub(crate) fn header(columns: &str) -> String {
    columns.to_owned() + LINE_END
}

/// Appends a line with the JSON fields of a row that `columns` names, in this order.
pub(crate) fn line(lines: &mut String, columns: &str, row: &impl Serialize) -> Result<()> {
    let row = serde_json::to_value(row).map_err(|error| Error::Internal(error.into()))?;
    for (at, column) in columns.split(',').enumerate() {
        if at > 0 {
            lines.push(',');
        }
        match &row[column] {
            Value::Null => {}
            Value::String(text) => cell(lines, text),
            other => cell(lines, &other.to_string()),
        }
    }
    lines.push_str(LINE_END);
    Ok(())
}

fn cell(lines: &mut String, text: &str) {
    let is_quoted = text.contains(['"', ',', ';', '\r', '\n']) || text.trim() != text;
    let quote = if is_quoted { "\"" } else { "" };
    let is_formula = text.starts_with(FORMULA_STARTS);
    let guard = if is_formula { "'" } else { "" };
    lines.extend([quote, guard, &text.replace('"', "\"\""), quote]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quotes_cells_and_disarms_formulas() {
        for (value, expected) in [
            (json!(null), ""),
            (json!(7), "7"),
            (json!(""), ""),
            (json!("a b"), "a b"),
            (json!(" a"), "\" a\""),
            (json!("a,b"), "\"a,b\""),
            (json!("a\"b"), "\"a\"\"b\""),
            (json!("a\r\nb"), "\"a\r\nb\""),
            (json!({"a": [1, "x"]}), "\"{\"\"a\"\":[1,\"\"x\"\"]}\""),
            (json!("=1+1"), "'=1+1"),
            (json!("-2,5"), "\"'-2,5\""),
            (json!("@x"), "'@x"),
            (json!("\n=x"), "\"'\n=x\""),
            (json!("a;=x"), "\"a;=x\""),
            (json!("\t=x"), "\"'\t=x\""),
        ] {
            let mut lines = String::new();

            line(&mut lines, "x,y", &json!({"x": value, "y": 1})).expect("a line");

            assert_eq!(lines, format!("{expected},1\r\n"), "{value}");
        }
    }

    #[test]
    fn the_preferred_known_media_type_decides() {
        let wanted = |types: &[&str]| {
            is_wanted(&Accept(
                types
                    .iter()
                    .map(|text| text.parse().expect("a media type"))
                    .collect(),
            ))
        };
        assert!(wanted(&["text/csv"]) && wanted(&["text/html", "text/csv;charset=utf-8", "*/*"]));
        assert!(
            !wanted(&[])
                && !wanted(&["*/*", "text/csv"])
                && !wanted(&["application/json", "text/csv"])
        );
    }
}
