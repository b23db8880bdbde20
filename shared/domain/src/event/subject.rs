//! Subjects: what a message is about and whom it concerns.

use super::kind::Kind;

/// A subject taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What it is about.
    pub kind: Kind,
    /// The user token as it stands, absent in bare subjects.
    pub user: Option<String>,
}

impl Subject {
    /// Takes a subject apart, as published (`trading.orders.filled.<user>`) or as the stream keeps it, with the lane
    /// in front of the user (`trading.orders.filled.<lane>.<user>`).
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
