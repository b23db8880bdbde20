//! The subjects of the event streams and of their lanes.

use async_nats::jetstream::stream::{Config, SubjectTransform};
use tiris_domain::lane::{EventStream, LaneKey};
use uuid::Uuid;

/// Returns the subjects that bots publish to, with and without a user.
#[must_use]
pub fn published(stream: EventStream) -> Vec<String> {
    let bare = bare(stream).into_iter();
    bare.flat_map(|subject| [format!("{subject}.*"), subject])
        .collect()
}

/// Returns the subjects without a user.
fn bare(stream: EventStream) -> Vec<String> {
    let subjects: &[&str] = match stream {
        EventStream::Trading => &["trading.orders.*", "trading.balance.*"],
        EventStream::System => &["trading.errors", "trading.signals", "trading.heartbeat"],
    };
    subjects.iter().copied().map(str::to_owned).collect()
}

/// Returns the subject transform that assigns each user to one of `lanes` lanes.
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

/// Returns the number of lanes that a stream assigns its users to; None when it has no such transform.
#[must_use]
pub fn lanes_of(stream: EventStream, config: &Config) -> Option<u16> {
    let transform = config.subject_transform.as_ref()?;
    let (_, rest) = transform.destination.split_once("partition(")?;
    let lanes = rest.split([',', ')']).next()?.trim().parse().ok()?;
    let ours = self::transform(stream, lanes);
    (transform.source == ours.source && transform.destination == ours.destination).then_some(lanes)
}

/// Returns the stored subjects of a lane. Lane number `lanes` is that of the subjects without a user.
#[must_use]
pub fn of_lane(key: LaneKey, lanes: u16) -> Vec<String> {
    let LaneKey { stream, lane } = key;

    if lane == lanes {
        return bare(stream);
    }
    vec![match stream {
        EventStream::Trading => format!("trading.*.*.{lane}.*"),
        EventStream::System => format!("trading.*.{lane}.*"),
    }]
}

/// Returns the stored subjects of a user's messages in their lane.
#[must_use]
pub fn of_user_in_lane(key: LaneKey, user: Uuid) -> String {
    let lane = key.lane;
    let user = user.hyphenated();
    match key.stream {
        EventStream::Trading => format!("trading.*.*.{lane}.{user}"),
        EventStream::System => format!("trading.*.{lane}.{user}"),
    }
}

/// Returns the stored subjects that can hold events of a user: the user's own in any lane, and those without a user.
#[must_use]
pub fn of_user(stream: EventStream, user: Uuid) -> Vec<String> {
    let own = match stream {
        EventStream::Trading => format!("trading.*.*.*.{}", user.hyphenated()),
        EventStream::System => format!("trading.*.*.{}", user.hyphenated()),
    };
    std::iter::once(own).chain(bare(stream)).collect()
}

/// Returns the lane of a stored subject of a stream with `lanes` lanes; None when it has none.
#[must_use]
pub fn lane_of(stream: EventStream, subject: &str, lanes: u16) -> Option<u16> {
    let tokens: Vec<&str> = subject.split('.').collect();
    // A subject without a user ends where others have the lane.
    let before = match stream {
        EventStream::Trading => 3,
        EventStream::System => 2,
    };
    match tokens.get(before) {
        None => (tokens.len() == before).then_some(lanes),
        Some(lane) => lane.parse().ok().filter(|lane| *lane < lanes),
    }
}
