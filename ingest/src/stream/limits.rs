//! Compares the limits of a stream with the settings, and decides which of them may be applied to what is stored.
//!
//! Pure: must not know how the figures are read.

use super::usage::Fullest;
use async_nats::jetstream::stream::Config;
use std::fmt::{self, Display};
use std::time::Duration;

/// Unread messages that would expire so soon after a change count as if they expired at once, because lanes need time.
const EXPIRY_MARGIN: Duration = Duration::from_hours(1);

/// A limit of a stream that the settings determine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Size of all messages.
    Bytes,
    /// Age at which a message is deleted.
    Age,
    /// Messages of one subject, beyond which new ones are refused.
    MessagesPerSubject,
    /// Size of one message.
    MessageBytes,
    /// Copies in a cluster.
    Replicas,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 5] = [
        Self::Bytes,
        Self::Age,
        Self::MessagesPerSubject,
        Self::MessageBytes,
        Self::Replicas,
    ];

    /// Returns its name in messages and in JSON; the unit is a part of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Age => "age_seconds",
            Self::MessagesPerSubject => "messages_per_subject",
            Self::MessageBytes => "message_bytes",
            Self::Replicas => "replicas",
        }
    }

    /// Returns the value in a configuration; None for unlimited.
    #[must_use]
    pub fn of(self, config: &Config) -> Option<u64> {
        let value = match self {
            Self::Bytes => u64::try_from(config.max_bytes).ok(),
            Self::Age => Some(config.max_age.as_secs()),
            Self::MessagesPerSubject => u64::try_from(config.max_messages_per_subject).ok(),
            Self::MessageBytes => u64::try_from(config.max_message_size).ok(),
            Self::Replicas => u64::try_from(config.num_replicas).ok(),
        };
        value.filter(|value| *value > 0)
    }

    /// Copies the value from one configuration to another.
    pub(super) fn copy(self, from: &Config, to: &mut Config) {
        match self {
            Self::Bytes => to.max_bytes = from.max_bytes,
            Self::Age => to.max_age = from.max_age,
            Self::MessagesPerSubject => {
                to.max_messages_per_subject = from.max_messages_per_subject;
                to.discard_new_per_subject = from.discard_new_per_subject;
            }
            Self::MessageBytes => to.max_message_size = from.max_message_size,
            Self::Replicas => to.num_replicas = from.num_replicas,
        }
    }
}

/// A limit of a stream that differs from the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The limit.
    pub limit: Limit,
    /// Its value in the stream; None for unlimited.
    pub found: Option<u64>,
    /// Its value by the settings; None for unlimited.
    pub wanted: Option<u64>,
}

impl Difference {
    /// Returns whether the settings allow less than the stream.
    #[must_use]
    pub fn is_narrower(&self) -> bool {
        let found = self.found.unwrap_or(u64::MAX);
        self.wanted.is_some_and(|wanted| wanted < found)
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<u64>| value.map_or("unlimited".to_owned(), |v| v.to_string());
        let Self {
            limit,
            found,
            wanted,
        } = self;
        write!(
            f,
            "{}: {} in the stream, {} in the settings",
            limit.name(),
            shown(*found),
            shown(*wanted)
        )
    }
}

/// Returns the limits of `found` that differ from those of `wanted`.
#[must_use]
pub fn differences(found: &Config, wanted: &Config) -> Vec<Difference> {
    let compare = |limit: Limit| Difference {
        limit,
        found: limit.of(found),
        wanted: limit.of(wanted),
    };
    let all = Limit::ALL.into_iter().map(compare);
    all.filter(|difference| difference.found != difference.wanted)
        .collect()
}

/// What a stream stores, as far as a narrower limit could hurt it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Size of all messages.
    pub(super) bytes: u64,
    /// The subject with the most messages; None without messages.
    pub(super) fullest: Option<Fullest>,
    /// Age of the oldest message that a lane has not committed; None when all are.
    pub(super) oldest_unread: Option<Duration>,
}

/// Returns why a narrower limit is not applied; None when it deletes no unread message and refuses no new one at once.
pub(super) fn objection(difference: &Difference, stored: &Stored) -> Option<String> {
    let wanted = difference.wanted.filter(|_| difference.is_narrower())?;
    match difference.limit {
        Limit::Bytes if stored.bytes > wanted => Some(format!(
            "the stream holds {} bytes, so that every new event would be refused",
            stored.bytes
        )),
        Limit::Age => {
            let unread = stored.oldest_unread?;
            let is_kept = unread.saturating_add(EXPIRY_MARGIN).as_secs() < wanted;
            (!is_kept).then(|| {
                format!(
                    "a message that no lane has committed is {} seconds old and would be deleted",
                    unread.as_secs()
                )
            })
        }
        Limit::MessagesPerSubject => {
            let fullest = stored.fullest.as_ref()?;
            let Fullest { subject, messages } = fullest;
            (*messages > wanted).then(|| {
                format!("{subject} holds {messages} messages, the oldest of which would be deleted")
            })
        }
        Limit::Bytes | Limit::MessageBytes | Limit::Replicas => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn narrower(limit: Limit, wanted: u64) -> Difference {
        Difference {
            limit,
            found: None,
            wanted: Some(wanted),
        }
    }

    #[test]
    fn only_different_limits_are_listed() {
        let found = Config {
            max_bytes: -1,
            max_age: DAY,
            num_replicas: 1,
            ..Config::default()
        };
        let wanted = Config {
            max_bytes: 1_000,
            max_messages_per_subject: -1,
            ..found.clone()
        };

        let differences = differences(&found, &wanted);

        assert_eq!(differences, [narrower(Limit::Bytes, 1_000)]);
        assert_eq!(
            differences[0].to_string(),
            "bytes: unlimited in the stream, 1000 in the settings"
        );
    }

    #[test]
    fn a_wider_limit_is_always_applied() {
        let stored = Stored {
            bytes: 10,
            ..Stored::default()
        };
        let wider = Difference {
            limit: Limit::Bytes,
            found: Some(1),
            wanted: Some(2),
        };

        assert_eq!(objection(&wider, &stored), None);
    }

    #[test]
    fn a_narrower_limit_must_hold_what_is_stored() {
        let fullest = Fullest {
            subject: "trading.errors.0.u".to_owned(),
            messages: 5,
        };
        let stored = Stored {
            bytes: 10,
            fullest: Some(fullest),
            oldest_unread: Some(DAY),
        };

        for (limit, refused, applied) in [
            (Limit::Bytes, 9, 10),
            (Limit::MessagesPerSubject, 4, 5),
            (Limit::Age, DAY.as_secs() + 3_600, DAY.as_secs() + 3_601),
        ] {
            let too_narrow = objection(&narrower(limit, refused), &stored);
            assert!(too_narrow.is_some(), "{limit:?}");
            let wide_enough = objection(&narrower(limit, applied), &stored);
            assert_eq!(wide_enough, None, "{limit:?}");
        }
        let read = Stored::default();
        assert_eq!(objection(&narrower(Limit::Age, 1), &read), None);
    }
}
