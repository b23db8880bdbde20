//! The form of a log line for machines: one JSON object.
//!
//! A line is `timestamp, level, service, trace_id, user_id, message, metadata`; `trace_id` and `user_id` come from the
//! event or the spans around it, everything else that was recorded stands in `metadata`.

use crate::error::explain;
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::io::Write;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Writes one JSON object a line to what `out` gives.
pub(super) struct JsonLines<W> {
    pub(super) service: &'static str,
    pub(super) out: W,
}

/// What a span or an event recorded.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().into(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Those are for the collector of spans.
        if field.name().starts_with("otel.") {
            return;
        }
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.0.insert(field.name().into(), explain(value).into());
    }
}

impl<S, W, O> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn() -> O + 'static,
    O: Write,
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
        let mut all = Fields::default();
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(fields) = span.extensions().get::<Fields>() {
                    all.0.extend(fields.0.clone());
                }
            }
        }
        event.record(&mut all);
        let mut fields = all.0;
        let message = fields.shift_remove("message").unwrap_or_default();
        let trace_id = fields.shift_remove("trace_id").unwrap_or_default();
        let user_id = fields.shift_remove("user_id").unwrap_or_default();
        fields.insert("target".into(), event.metadata().target().into());
        let line = json!({
            "timestamp": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
            "level": event.metadata().level().as_str(),
            "service": self.service,
            "trace_id": trace_id,
            "user_id": user_id,
            "message": message,
            "metadata": fields,
        });
        // One write a line, so that lines of several threads never mix; a full pipe must not stop the service.
        let written = (self.out)().write_all(format!("{line}\n").as_bytes());
        drop(written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_required_fields_and_takes_the_ids_from_the_span() {
        let buffer = Buffer::default();
        let out = buffer.clone();
        let layer = JsonLines { service: "tiris-test", out: move || out.clone() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!("request", trace_id = "abc123", user_id = tracing::field::Empty);
            span.record("user_id", "user123");
            let _entered = span.enter();
            tracing::warn!(lane = 3, "lag \"grows\"");
        });
        let text = String::from_utf8(buffer.0.lock().expect("one thread").clone()).expect("utf-8");
        let line: Value = serde_json::from_str(&text).expect("one JSON object");
        let keys: Vec<&str> = line.as_object().expect("object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["timestamp", "level", "service", "trace_id", "user_id", "message", "metadata"]);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["trace_id"], "abc123");
        assert_eq!(line["user_id"], "user123");
        assert_eq!(line["message"], "lag \"grows\"");
        assert_eq!(line["metadata"]["lane"], 3);
    }
}
