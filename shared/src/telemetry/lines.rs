//! The form of a log line for machines: one JSON object.
//!
//! A line is `timestamp, level, service, trace_id, user_id, message, metadata`; `trace_id` and `user_id` come from the
//! event, the spans around it or the trace the task works for; everything else that was recorded stands in `metadata`.

use crate::error::explain;
use crate::trace;
use chrono::{SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Room for most lines.
const LINE_BYTES: usize = 512;

/// Gives one JSON object a line, with its level, to `write`.
pub(super) struct JsonLines<W> {
    pub(super) service: &'static str,
    pub(super) write: W,
}

/// A value as it was recorded. A tree of JSON would make a text of every number twice.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Recorded {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Flag(bool),
}

/// What a span or an event recorded; there are few, so that looking through all finds one fastest.
#[derive(Clone, Default)]
struct Fields(Vec<(&'static str, Recorded)>);

impl Fields {
    /// The innermost of a name counts.
    fn put(&mut self, name: &'static str, value: Recorded) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Recorded> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field.name(), Recorded::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Those are for the collector of spans.
        if field.name().starts_with("otel.") {
            return;
        }
        self.put(field.name(), Recorded::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Recorded::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Recorded::Signed(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Recorded::Flag(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field.name(), Recorded::Text(explain(value)));
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    service: &'a str,
    trace_id: Option<Recorded>,
    user_id: Option<Recorded>,
    message: Option<Recorded>,
    metadata: Fields,
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
        let mut fields = Fields::default();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(recorded) = span.extensions().get::<Fields>() {
                    recorded.0.iter().for_each(|(name, value)| fields.put(name, value.clone()));
                }
            }
        }
        event.record(&mut fields);
        let level = event.metadata().level();
        let message = fields.take("message");
        let (mut trace_id, mut user_id) = (fields.take("trace_id"), fields.take("user_id"));
        if trace_id.is_none()
            && let Some(trace) = trace::current()
        {
            trace_id = Some(Recorded::Text(trace.id().to_owned()));
            user_id = user_id.or_else(|| trace.user().map(|user| Recorded::Text(user.to_string())));
        }
        fields.put("target", Recorded::Text(event.metadata().target().to_owned()));
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let (level_name, service) = (level.as_str(), self.service);
        let line =
            Line { timestamp, level: level_name, service, trace_id, user_id, message, metadata: fields };
        let mut bytes = Vec::with_capacity(LINE_BYTES);
        // Texts and numbers always serialize.
        serde_json::to_writer(&mut bytes, &line).ok();
        bytes.push(b'\n');
        // Whole lines, so that those of several threads never mix.
        (self.write)(level, &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{UserId, new_id};
    use crate::trace::Trace;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_line_has_the_required_fields_and_takes_the_ids_from_the_span() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&told);
        let write = move |_: &Level, line: &[u8]| out.lock().expect("one thread").extend_from_slice(line);
        let layer = JsonLines { service: "tiris-test", write };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("request", trace_id = "abc123", user_id = tracing::field::Empty);
            span.record("user_id", "user123");
            let _entered = span.enter();
            tracing::warn!(lane = 3, user_id = "user124", "lag \"grows\"");
        });
        let text = String::from_utf8(told.lock().expect("one thread").clone()).expect("utf-8");
        let line: Value = serde_json::from_str(&text).expect("one JSON object");
        let keys: Vec<&str> = line.as_object().expect("object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["timestamp", "level", "service", "trace_id", "user_id", "message", "metadata"]);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["trace_id"], "abc123");
        assert_eq!(line["user_id"], "user124", "the innermost counts");
        assert_eq!(line["message"], "lag \"grows\"");
        assert_eq!(line["metadata"]["lane"], 3);
    }

    #[tokio::test]
    async fn without_a_span_the_ids_are_those_of_the_trace_the_task_works_for() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let out = Arc::clone(&told);
        let write = move |_: &Level, line: &[u8]| out.lock().expect("one thread").extend_from_slice(line);
        let layer = JsonLines { service: "tiris-test", write };
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let (trace, user) = (Trace::of_headers(Some("mine"), None).expect("a trace"), UserId(new_id()));
        trace.is_for(user);
        trace.scope(async { tracing::info!("answered") }).await;
        tracing::info!("stopping");
        let text = String::from_utf8(told.lock().expect("one thread").clone()).expect("utf-8");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((&lines[0]["trace_id"], &lines[0]["user_id"]), (&json!("mine"), &json!(user.to_string())));
        assert_eq!((&lines[1]["trace_id"], &lines[1]["user_id"]), (&Value::Null, &Value::Null));
    }
}
