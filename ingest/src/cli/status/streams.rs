//! The limits of the streams: what they are, what the settings of this command say, and how much is used.

use super::super::connect;
use super::super::terminal::table;
use crate::connection::Connection;
use crate::dead_letters;
use crate::settings::{LimitArgs, StreamLimits, StreamSettings};
use crate::stream::{self, Difference, Limit, Usage, differences};
use async_nats::jetstream::stream::Config;
use serde_json::{Map, Value, json};
use tiris_domain::lane::EventStream;
use tiris_runtime::config::{NatsArgs, Problems};

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// The broker, and the settings to compare it with.
pub(super) struct Source {
    /// Without the broker the reason is shown instead, because the lanes are readable without it.
    connection: Result<Connection, String>,
    limits: StreamLimits,
}

/// A stream, its usage, and the limits that differ from the settings.
pub(super) struct Stream {
    usage: Usage,
    differences: Vec<Difference>,
}

impl Source {
    pub(super) async fn connect(nats: &NatsArgs, limits: &LimitArgs) -> anyhow::Result<Self> {
        let mut problems = Problems::default();
        let limits = limits.check(&mut problems);
        let limits = problems.finish(limits)?;
        let connection = connect::nats(nats).await;

        Ok(Self {
            connection: connection.map_err(|error| format!("{error:#}")),
            limits,
        })
    }

    /// Reads the streams that exist, or returns the reason why that is impossible.
    pub(super) async fn read(&self) -> Result<Vec<Stream>, String> {
        let connection = self.connection.as_ref().map_err(Clone::clone)?;
        let mut streams = Vec::new();
        for wanted in self.wanted() {
            let usage = stream::usage(&connection.jetstream, &wanted.name).await;
            if let Some(usage) = usage.map_err(|error| error.to_string())? {
                let differences = differences(&usage.info.config, &wanted);
                streams.push(Stream { usage, differences });
            }
        }
        Ok(streams)
    }

    fn wanted(&self) -> impl Iterator<Item = Config> {
        let settings = StreamSettings {
            // Not compared here: `lanes show` does.
            lanes: 1,
            limits: self.limits.clone(),
        };
        let events = EventStream::ALL.map(|stream| stream::config_of(stream, &settings));
        let copies = dead_letters::config(&self.limits);
        events.into_iter().chain([copies])
    }
}

pub(super) fn as_text(streams: &Result<Vec<Stream>, String>) -> String {
    let streams = match streams {
        Ok(streams) => streams,
        Err(why) => return format!("the limits of the streams are unknown: {why}"),
    };
    let header = "stream|messages|bytes|limit|used|days|bytes of one user|fullest subject|messages|limit|used";
    let mut shown = table(header, 1..7);

    for Stream { usage, .. } in streams {
        shown.add_row(row(usage));
    }
    let notes: String = streams.iter().flat_map(notes).collect();
    format!("{shown}{notes}")
}

/// Returns what an operator should know about the limits of a stream, a line each.
fn notes(stream: &Stream) -> Vec<String> {
    let usage = &stream.usage;
    let name = &usage.info.config.name;
    let differences = stream.differences.iter();
    let mut notes: Vec<String> = differences
        .map(|difference| format!("\n{name}: {difference}"))
        .collect();

    let bytes = Limit::Bytes.of(&usage.info.config);
    if let Some((user, bytes)) = usage.user_bytes_max().zip(bytes)
        && user > bytes
    {
        notes.push(format!(
            "\n{name}: one user can fill it with messages of maximal size, because {user} bytes are more than its {bytes}; \
             lower TIRIS_STREAM_MESSAGES_PER_SUBJECT or TIRIS_STREAM_MESSAGE_BYTES"
        ));
    }
    notes
}

fn row(usage: &Usage) -> [String; 11] {
    let Usage { info, fullest } = usage;
    let config = &info.config;
    let limit = |limit: Limit| {
        let value = limit.of(config);
        value.map_or("none".to_owned(), |value| value.to_string())
    };
    let days = config.max_age.as_secs() / DAY_SECONDS;
    let subject = fullest.as_ref().map(|found| found.subject.clone());
    let messages = fullest.as_ref().map_or(0, |found| found.messages);

    [
        config.name.clone(),
        info.state.messages.to_string(),
        info.state.bytes.to_string(),
        limit(Limit::Bytes),
        percent(usage.permille(Limit::Bytes)),
        days.to_string(),
        usage
            .user_bytes_max()
            .map_or("-".to_owned(), |bytes| format!("at most {bytes}")),
        subject.unwrap_or_else(|| "-".to_owned()),
        messages.to_string(),
        limit(Limit::MessagesPerSubject),
        percent(usage.permille(Limit::MessagesPerSubject)),
    ]
}

fn percent(permille: Option<u64>) -> String {
    permille.map_or("-".to_owned(), |permille| {
        format!("{}.{} %", permille / 10, permille % 10)
    })
}

pub(super) fn as_json(streams: &Result<Vec<Stream>, String>) -> Value {
    let Ok(streams) = streams else {
        return Value::Null;
    };
    streams.iter().map(stream_json).collect()
}

fn stream_json(stream: &Stream) -> Value {
    let Stream { usage, differences } = stream;
    let state = &usage.info.state;
    let limits = Limit::ALL.into_iter();
    let limits = limits.map(|limit| (limit.name(), limit.of(&usage.info.config)));
    let differing = differences.iter();
    let differing = differing.map(|difference| (difference.limit.name(), difference.wanted));
    let fullest = usage.fullest.as_ref();
    let fullest =
        fullest.map(|found| json!({"subject": found.subject, "messages": found.messages}));

    json!({
        "stream": usage.info.config.name, "messages": state.messages, "bytes": state.bytes,
        "limits": object(limits), "settings_differ": object(differing), "fullest_subject": fullest,
        "user_bytes_max": usage.user_bytes_max(),
    })
}

fn object(values: impl Iterator<Item = (&'static str, Option<u64>)>) -> Map<String, Value> {
    values
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect()
}
