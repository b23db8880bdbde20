//! The subjects of the streams and of their lanes.

use async_nats::jetstream::stream::{Config, SubjectTransform};
use tiris_domain::lane::{EventStream, LaneKey};
use uuid::Uuid;

/// The subjects bots publish to, with and without a user.
#[must_use]
pub fn published(stream: EventStream) -> Vec<String> {
    let subjects: &[&str] = match stream {
        EventStream::Trading => &[
            "trading.orders.*",
            "trading.orders.*.*",
            "trading.balance.*",
            "trading.balance.*.*",
        ],
        EventStream::System => &[
            "trading.errors",
            "trading.errors.*",
            "trading.signals",
            "trading.signals.*",
            "trading.heartbeat",
            "trading.heartbeat.*",
        ],
    };

    subjects
        .iter()
        .map(|subject| (*subject).to_owned())
        .collect()
}

/// The transform that puts a user into one of `lanes` lanes.
#[must_use]
pub fn transform(stream: EventStream, lanes: u16) -> SubjectTransform {
    let (source, destination) = match stream {
        EventStream::Trading => (
            "trading.*.*.*",
            format!(
                "trading.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{partition({lanes},3)}}}}.{{{{wildcard(3)}}}}"
            ),
        ),
        EventStream::System => (
            "trading.*.*",
            format!("trading.{{{{wildcard(1)}}}}.{{{{partition({lanes},2)}}}}.{{{{wildcard(2)}}}}"),
        ),
    };

    SubjectTransform {
        source: source.to_owned(),
        destination,
    }
}

/// How many lanes a stream with this configuration puts its users into; none when it does not.
#[must_use]
pub fn lanes_of(stream: EventStream, config: &Config) -> Option<u16> {
    let transform = config.subject_transform.as_ref()?;
    let (_, rest) = transform.destination.split_once("partition(")?;
    let lanes = rest.split([',', ')']).next()?.trim().parse().ok()?;
    let ours = self::transform(stream, lanes);
    (transform.source == ours.source && transform.destination == ours.destination).then_some(lanes)
}

/// The subjects of a lane, as the stream keeps them; lane number `lanes` is that of the bare subjects.
#[must_use]
pub fn of_lane(key: LaneKey, lanes: u16) -> Vec<String> {
    let LaneKey { stream, lane } = key;

    match (stream, lane == lanes) {
        (EventStream::Trading, false) => vec![format!("trading.*.*.{lane}.*")],
        (EventStream::System, false) => vec![format!("trading.*.{lane}.*")],
        (EventStream::Trading, true) => vec![
            "trading.orders.*".to_owned(),
            "trading.balance.*".to_owned(),
        ],
        (EventStream::System, true) => {
            vec![
                "trading.errors".to_owned(),
                "trading.signals".to_owned(),
                "trading.heartbeat".to_owned(),
            ]
        }
    }
}

/// The subjects that can hold a user's events, as the stream keeps them: the user's own in any lane, and the bare ones.
#[must_use]
pub fn of_user(stream: EventStream, user: Uuid) -> Vec<String> {
    let own = match stream {
        EventStream::Trading => format!("trading.*.*.*.{}", user.hyphenated()),
        EventStream::System => format!("trading.*.*.{}", user.hyphenated()),
    };
    let bare = of_lane(LaneKey { stream, lane: 0 }, 0);
    std::iter::once(own).chain(bare).collect()
}

/// The lane of a subject as the stream with `lanes` lanes keeps it.
#[must_use]
pub fn lane_of(stream: EventStream, subject: &str, lanes: u16) -> Option<u16> {
    let tokens: Vec<&str> = subject.split('.').collect();
    // A bare subject has as many tokens as stand before the lane in others.
    let before = match stream {
        EventStream::Trading => 3,
        EventStream::System => 2,
    };
    match tokens.get(before) {
        None => (tokens.len() == before).then_some(lanes),
        Some(lane) => lane.parse().ok().filter(|lane| *lane < lanes),
    }
}
