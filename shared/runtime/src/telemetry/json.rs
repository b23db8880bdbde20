//! Log lines as JSON objects: `timestamp, level, service, trace_id, user_id, message, metadata`.
//!
//! `trace_id` and `user_id` come from the event, the spans around it or the trace of the task; all other fields are in
//! `metadata`. The JSON format of tracing-subscriber has no such form and takes 15,400 instructions a line instead of
//! 5,500, of about 215,000 for a whole GET.

use super::fields::Fields;
use crate::trace;
use chrono::{SecondsFormat, Utc};
use std::fmt;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Fields with their own member before the metadata.
const PLACED: [&str; 3] = ["trace_id", "user_id", "message"];
/// The first member of the metadata; a recorded field of this name is left out.
const TARGET: &str = "target";
/// Reserved size of a line, in bytes.
const LINE_BYTES: usize = 512;

/// Formats the events of a service as JSON lines.
pub(super) struct JsonLine {
    pub(super) service: &'static str,
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);

        for span in context.event_scope().into_iter().flatten() {
            if let Some(around) = span.extensions().get::<FormattedFields<JsonFields>>() {
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

        let line = self.line(event, &fields);
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

impl JsonLine {
    fn line(&self, event: &Event<'_>, fields: &Fields) -> Vec<u8> {
        let metadata = event.metadata();
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);

        let mut line = Vec::with_capacity(LINE_BYTES);
        text(&mut line, r#"{"timestamp":"#, &timestamp);
        text(&mut line, r#","level":"#, metadata.level().as_str());
        text(&mut line, r#","service":"#, self.service);
        for name in PLACED {
            member(&mut line, name, fields.get(name).unwrap_or(b"null"));
        }

        text(&mut line, r#","metadata":{"target":"#, metadata.target());
        for (name, value) in fields.iter() {
            if name != TARGET && !PLACED.contains(&name) {
                member(&mut line, name, value);
            }
        }
        line.extend_from_slice(b"}}\n");

        line
    }
}

/// Appends a string that needs no escaping.
fn text(line: &mut Vec<u8>, before: &str, text: &str) {
    for part in [before, "\"", text, "\""] {
        line.extend_from_slice(part.as_bytes());
    }
}

fn member(line: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [b",\"", name.as_bytes(), b"\":", value] {
        line.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;
    use serde_json::{Value, json};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tiris_domain::ids::{UserId, new_id};
    use tracing::field::Empty;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("one thread").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    impl Written {
        fn subscriber(&self) -> impl Subscriber + use<> {
            let layer = tracing_subscriber::fmt::layer()
                .fmt_fields(JsonFields::new())
                .event_format(JsonLine {
                    service: "tiris-test",
                })
                .with_writer(self.clone());
            tracing_subscriber::registry().with(layer)
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("one thread").clone()).expect("UTF-8")
        }

        fn lines(&self) -> Vec<Value> {
            let parse = |line| serde_json::from_str(line).expect("one JSON object");
            self.text().lines().map(parse).collect()
        }
    }

    #[test]
    fn a_line_has_the_required_members_in_order() {
        let written = Written::default();

        tracing::subscriber::with_default(written.subscriber(), || {
            let error = &fmt::Error as &dyn std::error::Error;
            tracing::warn!(lane = 3, target = "invented", error, "lag \"grows\"\n");
        });

        let line = &written.lines()[0];
        let names = line.as_object().expect("an object").keys();
        let names: Vec<&str> = names.map(String::as_str).collect();
        let expected = "timestamp,level,service,trace_id,user_id,message,metadata";
        assert_eq!(names.join(","), expected);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service"], "tiris-test");
        assert_eq!(line["message"], "lag \"grows\"\n");
        let metadata =
            json!({"target": module_path!(), "lane": 3, "error": fmt::Error.to_string()});
        assert_eq!(line["metadata"], metadata);
        let targets = written.text().matches("\"target\"").count();
        assert_eq!(targets, 1, "a member appears twice");
    }

    #[test]
    fn the_innermost_field_of_a_name_counts() {
        let written = Written::default();

        tracing::subscriber::with_default(written.subscriber(), || {
            let span = tracing::info_span!(
                "request",
                trace_id = "abc123",
                user_id = Empty,
                lease = Empty,
                otel.kind = "server"
            );
            span.record("user_id", "user123");
            span.record("lease", "first");
            span.record("lease", "last");
            let _entered = span.enter();
            tracing::info!(user_id = "user124", "answered");
        });

        let line = &written.lines()[0];
        assert_eq!(line["trace_id"], "abc123");
        assert_eq!(line["user_id"], "user124");
        let metadata = json!({"target": module_path!(), "lease": "last"});
        assert_eq!(line["metadata"], metadata);
    }

    #[tokio::test]
    async fn without_a_span_the_ids_come_from_the_trace() {
        let written = Written::default();
        let _logged = tracing::subscriber::set_default(written.subscriber());
        let trace = Trace::of_headers(Some("mine"), None).expect("a trace");
        let user = UserId(new_id());
        trace.set_user(user);

        trace.scope(async { tracing::info!("answered") }).await;
        tracing::info!("stopping");

        let lines = written.lines();
        assert_eq!(lines[0]["trace_id"], "mine");
        assert_eq!(lines[0]["user_id"], user.to_string());
        assert_eq!(lines[1]["trace_id"], Value::Null);
        assert_eq!(lines[1]["user_id"], Value::Null);
    }
}
