//! Tests of subjects.

use super::*;
use crate::event::{MalformedKind, Subject};
use crate::value::EventId;

#[test]
fn parses_a_subject_built_for_a_user() {
    for kind in Kind::ALL {
        let published = kind.subject_of(USER);
        let in_the_stream = published.replace(&format!(".{USER}"), &format!(".15.{USER}"));

        let user = Some(USER.to_string());
        let expected = Some(Subject { kind, user });
        assert_eq!(Subject::parse(&published), expected);
        assert_eq!(Subject::parse(&in_the_stream), expected);
    }
}

#[test]
fn a_bare_subject_names_no_user() {
    for kind in Kind::ALL {
        let expected = Some(Subject { kind, user: None });
        assert_eq!(Subject::parse(kind.bare_subject()), expected);
    }
}

#[test]
fn rejects_other_subjects() {
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
        let payload = example(Kind::Error).to_string();

        let parsed = parse(subject, payload.as_bytes(), BareSubjects::Accept);

        assert_eq!(Subject::parse(subject), None, "{subject}");
        let malformed = parsed.expect_err(subject);
        assert_eq!(malformed.kind.code(), "UNKNOWN_SUBJECT");
        let event_id = malformed.event_id.as_ref().map(EventId::as_str);
        assert_eq!(event_id, Some("0190-1"), "the id is kept");
    }
}

#[test]
fn the_users_of_subject_and_payload_must_be_equal() {
    let kind = Kind::BalanceLocked;
    let payload = example(kind).to_string();
    let at = |subject: String| parse(&subject, payload.as_bytes(), BareSubjects::Accept);
    assert!(at(kind.subject_of(USER)).is_ok());

    for (user, publisher) in [
        (USER.to_string().to_uppercase(), Some(USER)),
        (USER.simple().to_string(), Some(USER)),
        (Uuid::from_u128(1).to_string(), Some(Uuid::from_u128(1))),
        ("someone".to_owned(), None),
        (String::new(), None),
    ] {
        let malformed = at(format!("{}.{user}", kind.bare_subject())).expect_err("refused");

        assert_eq!(malformed.kind, MalformedKind::SubjectMismatch, "{user}");
        assert_eq!(malformed.user_id, publisher, "{user}");
    }
}

#[test]
fn a_malformed_message_belongs_to_the_user_of_its_subject() {
    let publisher = Uuid::from_u128(1);
    let claim = json!({"user_id": USER}).to_string();
    let owner = |subject: &str| {
        let parsed = parse(subject, claim.as_bytes(), BareSubjects::Accept);
        parsed.expect_err(subject).user_id
    };

    assert_eq!(
        owner(&format!("trading.errors.{publisher}")),
        Some(publisher)
    );
    assert_eq!(
        owner(&format!("trading.errors.7.{publisher}")),
        Some(publisher)
    );
    assert_eq!(
        owner(&format!("trading.orders.placed.{publisher}")),
        Some(publisher)
    );
    assert_eq!(
        owner(&format!("trading.orders.placed.7.{publisher}")),
        Some(publisher)
    );
    assert_eq!(owner("trading.errors.someone"), None);
    assert_eq!(owner("trading.errors"), None);
    assert_eq!(owner("trading.orders.placed"), None);
}

/// Only the spelling in the subject determines the lane.
#[test]
fn the_user_of_the_payload_may_be_in_any_spelling() {
    let kind = Kind::BalanceLocked;
    let other = with_text(kind, "user_id", &Uuid::from_u128(1).to_string());
    let shouted = with_text(kind, "user_id", &USER.to_string().to_uppercase());

    assert_eq!(code(kind, &other), "SUBJECT_MISMATCH");
    assert!(parse_text(kind, &shouted).is_ok());
}

#[test]
fn accepts_or_rejects_a_bare_subject_as_configured() {
    for kind in Kind::ALL {
        let payload = example(kind).to_string();
        let bare = |bare| parse(kind.bare_subject(), payload.as_bytes(), bare);

        assert!(bare(BareSubjects::Accept).is_ok());
        let malformed = bare(BareSubjects::Refuse).expect_err("refused");
        assert_eq!(malformed.kind.code(), "BARE_SUBJECT");
    }
}

#[test]
fn parses_the_setting_of_bare_subjects() {
    assert_eq!("accept".parse(), Ok(BareSubjects::Accept));
    assert_eq!("refuse".parse(), Ok(BareSubjects::Refuse));
    assert!("yes".parse::<BareSubjects>().is_err());
}

#[test]
fn the_event_type_must_match_the_subject() {
    for kind in Kind::ALL {
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            let disguised = with_text(kind, "event_type", other.bare_subject());

            assert_eq!(code(kind, &disguised), "INVALID_VALUE", "{disguised}");
        }
    }
}
