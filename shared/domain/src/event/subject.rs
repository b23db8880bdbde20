//! The subjects of events.

use super::kind::Kind;

/// A parsed subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The kind of the event.
    pub kind: Kind,
    /// The user token as given; `None` in bare subjects.
    pub user: Option<String>,
}

impl Subject {
    /// Parses a subject as published (`trading.orders.filled.<user>`) or as stored by the stream, which inserts the
    /// lane (`trading.orders.filled.<lane>.<user>`).
    #[must_use]
    pub fn parse(subject: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| {
            subject
                .strip_prefix(kind.bare_subject())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })?;

        let mut rest = subject[kind.bare_subject().len()..].split('.').skip(1);
        let user = match (rest.next(), rest.next(), rest.next()) {
            (None, _, _) => None,
            (Some(user), None, _) => Some(user.to_owned()),
            (Some(lane), Some(user), None) if lane.parse::<u32>().is_ok() => Some(user.to_owned()),
            (Some(_), Some(_), _) => return None,
        };
        Some(Self { kind, user })
    }
}
