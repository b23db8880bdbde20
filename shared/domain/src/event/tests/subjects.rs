//! Subjects built and taken apart.

use super::*;
use crate::event::{MalformedKind, Subject};
use crate::value::EventId;

#[test]
fn a_subject_built_for_a_user_is_taken_apart_again() {
    for kind in Kind::ALL {
        let user = Some(USER.to_string());
        let expected = Some(Subject { kind, user });
        let published = kind.subject_of(USER);
        assert_eq!(Subject::parse(&published), expected);
        let kept = published.replace(&format!(".{USER}"), &format!(".15.{USER}"));
        assert_eq!(Subject::parse(&kept), expected, "as the stream keeps it");
        assert_eq!(
            Subject::parse(kind.bare_subject()),
            Some(Subject { kind, user: None })
        );
    }
}

#[test]
fn other_subjects_are_unknown() {
    for subject in [
        "",
        "trading",
        "trading.orders",
        "trading.orders.placed",
        "trading.ordersfilled",
        "trading.orders.filledx",
        "trading.error",
        "trading.errors2.1",
        "trading.errors.a.b",
        "trading.errors.1.b.c",
        "Trading.errors",
        "dlq.trading.errors",
    ] {
        assert_eq!(Subject::parse(subject), None, "{subject}");
        let payload = example(Kind::Error).to_string();
        let malformed =
            parse(subject, payload.as_bytes(), BareSubjects::Accept).expect_err(subject);
        assert_eq!(malformed.kind.code(), "UNKNOWN_SUBJECT");
        assert_eq!(
            malformed.event_id.as_ref().map(EventId::as_str),
            Some("0190-1"),
            "what can be read is kept"
        );
    }
}

#[test]
fn the_user_of_the_subject_must_be_the_payloads_in_canonical_spelling() {
    let kind = Kind::BalanceLocked;
    let payload = example(kind).to_string();
    let at = |subject: String| parse(&subject, payload.as_bytes(), BareSubjects::Accept);
    assert!(at(kind.subject_of(USER)).is_ok());
    for user in [
        USER.to_string().to_uppercase(),
        USER.simple().to_string(),
        Uuid::from_u128(1).to_string(),
        "someone".to_owned(),
        String::new(),
    ] {
        let malformed = at(format!("{}.{user}", kind.bare_subject())).expect_err("refused");
        assert_eq!(malformed.kind, MalformedKind::SubjectMismatch, "{user}");
        assert_eq!(malformed.user_id, Some(USER), "the payload's user");
    }
    let other = with(kind, "user_id", Uuid::from_u128(1).to_string().into());
    assert_eq!(code(kind, &other.to_string()), "SUBJECT_MISMATCH");
    let shouted = with(kind, "user_id", USER.to_string().to_uppercase().into());
    assert!(
        parse_value(kind, &shouted).is_ok(),
        "only the spelling in the subject chooses the lane"
    );
}

#[test]
fn a_bare_subject_is_taken_or_refused_as_configured() {
    for kind in Kind::ALL {
        let payload = example(kind).to_string();
        let bare = |bare| parse(kind.bare_subject(), payload.as_bytes(), bare);
        assert!(bare(BareSubjects::Accept).is_ok());
        assert_eq!(
            bare(BareSubjects::Refuse).expect_err("refused").kind.code(),
            "BARE_SUBJECT"
        );
    }
    assert_eq!("accept".parse(), Ok(BareSubjects::Accept));
    assert_eq!("refuse".parse(), Ok(BareSubjects::Refuse));
    assert!("yes".parse::<BareSubjects>().is_err());
}

#[test]
fn the_subject_decides_which_event_type_the_payload_must_have() {
    for kind in Kind::ALL {
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            let disguised = with(kind, "event_type", other.bare_subject().into());
            assert_eq!(code(kind, &disguised.to_string()), "INVALID_VALUE");
        }
    }
}
