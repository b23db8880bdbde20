//! The form of a log line for machines: one JSON object.
//!
//! A line is `timestamp, level, service, trace_id, user_id, message, metadata`; `trace_id` and `user_id` come from the
//! event, the spans around it or the trace the task works for; everything else that was recorded stands in `metadata`.

use super::fields::Fields;
use crate::trace;
use chrono::{SecondsFormat, Utc};
use std::cell::Cell;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Of a longer line a thread keeps no room for the next one, in bytes.
const KEPT_MAX: usize = 16 * 1024;
/// What has a place of its own before the metadata.
const PLACED: [&str; 3] = ["trace_id", "user_id", "message"];
/// What is the first of the metadata, whatever else was recorded by this name.
const TARGET: &str = "target";

/// Gives one JSON object a line, with its level, to `write`.
pub(super) struct JsonLines<W> {
    pub(super) service: &'static str,
    pub(super) write: W,
}

thread_local! {
    /// Each line is written where the last one was: a busy service writes thousands a second.
    static ROOM: Cell<(Fields, Vec<u8>)> = Cell::default();
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&Level, &[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // A value that logs while it is shown, and a thread that ends, find empty room.
        let (mut fields, mut line) = ROOM.try_with(Cell::take).unwrap_or_default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(around) = span.extensions().get::<Fields>() {
                fields.put_around(around);
            }
        }
        if fields.get("trace_id").is_none()
            && let Some(trace) = trace::current()
        {
            fields.put("trace_id", trace.id());
            if let Some(user) = trace.user().filter(|_| fields.get("user_id").is_none()) {
                fields.put("user_id", user);
            }
        }
        self.write_line(&mut line, event, &fields);
        // Whole lines, so that those of several threads never mix.
        (self.write)(event.metadata().level(), &line);
        if line.capacity() <= KEPT_MAX {
            fields.clear();
            line.clear();
            ROOM.try_with(|room| room.set((fields, line))).ok();
        }
    }
}

impl<W> JsonLines<W> {
    fn write_line(&self, line: &mut Vec<u8>, event: &Event<'_>, fields: &Fields) {
        let metadata = event.metadata();
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let head = [
            ("timestamp", timestamp.as_str()),
            ("level", metadata.level().as_str()),
            ("service", self.service),
        ];
        let mut before = b'{';
        for (name, value) in head {
            member(line, before, name);
            quote(line, value);
            before = b',';
        }
        for name in PLACED {
            member(line, b',', name);
            line.extend_from_slice(fields.get(name).unwrap_or(b"null"));
        }
        member(line, b',', "metadata");
        member(line, b'{', TARGET);
        quote(line, metadata.target());
        for (name, value) in fields
            .iter()
            .filter(|(name, _)| *name != TARGET && !PLACED.contains(name))
        {
            member(line, b',', name);
            line.extend_from_slice(value);
        }
        line.extend_from_slice(b"}}\n");
    }
}

fn member(line: &mut Vec<u8>, before: u8, name: &str) {
    line.push(before);
    quote(line, name);
    line.push(b':');
}

/// Puts in what stands in the program itself, where nothing has to be escaped.
fn quote(line: &mut Vec<u8>, text: &str) {
    line.push(b'"');
    line.extend_from_slice(text.as_bytes());
    line.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tiris_domain::ids::{UserId, new_id};
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_line_has_the_required_fields_and_takes_the_ids_from_the_span() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&told);
        let write =
            move |_: &Level, line: &[u8]| out.lock().expect("one thread").extend_from_slice(line);
        let layer = JsonLines {
            service: "tiris-test",
            write,
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(
                "request",
                trace_id = "abc123",
                user_id = tracing::field::Empty,
                lease = tracing::field::Empty
            );
            span.record("user_id", "user123");
            span.record("lease", "first");
            span.record("lease", "last");
            let _entered = span.enter();
            let error = std::fmt::Error;
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                lane = 3,
                user_id = "user124",
                target = "invented",
                error,
                "lag \"grows\"\n"
            );
        });
        let text = String::from_utf8(told.lock().expect("one thread").clone()).expect("utf-8");
        let line: Value = serde_json::from_str(&text).expect("one JSON object");
        let keys: Vec<&str> = line
            .as_object()
            .expect("object")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "timestamp",
                "level",
                "service",
                "trace_id",
                "user_id",
                "message",
                "metadata"
            ]
        );
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["trace_id"], "abc123");
        assert_eq!(line["user_id"], "user124", "the innermost counts");
        assert_eq!(line["message"], "lag \"grows\"\n");
        let expected = json!({
            "target": module_path!(), "lane": 3, "lease": "last", "error": std::fmt::Error.to_string(),
        });
        assert_eq!(line["metadata"], expected);
        assert_eq!(text.matches("\"target\"").count(), 1, "the same name twice");
    }

    #[tokio::test]
    async fn without_a_span_the_ids_are_those_of_the_trace_the_task_works_for() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&told);
        let write =
            move |_: &Level, line: &[u8]| out.lock().expect("one thread").extend_from_slice(line);
        let layer = JsonLines {
            service: "tiris-test",
            write,
        };
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let (trace, user) = (
            Trace::of_headers(Some("mine"), None).expect("a trace"),
            UserId(new_id()),
        );
        trace.is_for(user);
        trace.scope(async { tracing::info!("answered") }).await;
        tracing::info!("stopping");
        let text = String::from_utf8(told.lock().expect("one thread").clone()).expect("utf-8");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(
            (&lines[0]["trace_id"], &lines[0]["user_id"]),
            (&json!("mine"), &json!(user.to_string()))
        );
        assert_eq!(
            (&lines[1]["trace_id"], &lines[1]["user_id"]),
            (&Value::Null, &Value::Null)
        );
    }
}
