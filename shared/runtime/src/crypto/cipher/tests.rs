use super::super::SecretColumn;
use super::super::keys::generate;
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use std::sync::LazyLock;
use uuid::Uuid;

/// The keys before, during and after a rotation.
struct Rings {
    before: KeyRing,
    during: KeyRing,
    after: KeyRing,
}

static RINGS: LazyLock<Rings> = LazyLock::new(|| {
    let old = format!("old:{}", *generate());
    let new = format!("new:{}", *generate());
    let ring = |text: &str| KeyRing::parse(text).expect("keys");
    Rings {
        before: ring(&old),
        during: ring(&format!("{new},{old}")),
        after: ring(&new),
    }
});

const COLUMNS: [SecretColumn; 5] = [
    SecretColumn::API_KEY,
    SecretColumn::API_SECRET,
    SecretColumn::PASSPHRASE,
    SecretColumn::ACCESS_TOKEN,
    SecretColumn::REFRESH_TOKEN,
];

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

proptest! {
    #[test]
    fn encryption_is_reversible_and_randomized(secret in ".{0,300}", row in ids(), user in ids(), column in 0usize..5) {
        let place = COLUMNS[column].of(row, user);
        let ring = &RINGS.during;
        let first = ring.encrypt(&place, &secret.as_str().into()).unwrap();
        let second = ring.encrypt(&place, &secret.as_str().into()).unwrap();
        let opened = ring.decrypt(&place, &first).unwrap();
        prop_assert_eq!(opened.expose_secret(), &secret);
        prop_assert_ne!(&first, &second);
        prop_assert!(first.starts_with(&ring.current_prefix()));
        prop_assert!(secret.len() < 8 || !first.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }

    #[test]
    fn rejects_a_moved_ciphertext(secret in ".{0,40}", row in ids(), user in ids(), column in 0usize..5, other_row in ids(), other_user in ids(), other_column in 0usize..5) {
        let place = COLUMNS[column].of(row, user);
        let stored = RINGS.after.encrypt(&place, &secret.into()).unwrap();
        for elsewhere in [COLUMNS[column].of(other_row, user), COLUMNS[column].of(row, other_user), COLUMNS[column].of(user, row), COLUMNS[other_column].of(row, user)] {
            if elsewhere != place {
                let refused = RINGS.after.decrypt(&elsewhere, &stored).map(|_| ());
                prop_assert_eq!(refused, Err(CryptoError::NotAuthentic("new".to_owned())));
            }
        }
    }

    #[test]
    fn rejects_a_changed_or_truncated_ciphertext(secret in ".{0,40}", row in ids(), user in ids(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let place = SecretColumn::API_SECRET.of(row, user);
        let stored = RINGS.after.encrypt(&place, &secret.into()).unwrap();
        let mut flipped = stored.clone();
        flipped[at.index(stored.len())] ^= 1 << bit;
        prop_assert!(RINGS.after.decrypt(&place, &flipped).is_err());
        prop_assert!(RINGS.after.decrypt(&place, &stored[..at.index(stored.len())]).is_err());
        let longer = [stored.as_slice(), &[0]].concat();
        prop_assert!(RINGS.after.decrypt(&place, &longer).is_err());
    }

    #[test]
    fn names_a_removed_key_while_others_still_decrypt(secret in ".{0,40}", row in ids(), user in ids()) {
        let place = SecretColumn::API_KEY.of(row, user);
        let stored = RINGS.before.encrypt(&place, &secret.as_str().into()).unwrap();
        let opened = RINGS.during.decrypt(&place, &stored).unwrap();
        prop_assert_eq!(opened.expose_secret(), &secret);
        let refused = RINGS.after.decrypt(&place, &stored).map(|_| ());
        prop_assert_eq!(refused, Err(CryptoError::UnknownKey("old".to_owned())));
    }

    #[test]
    fn rejects_any_bytes_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let place = SecretColumn::API_KEY.of(Uuid::nil(), Uuid::nil());
        prop_assert!(RINGS.during.decrypt(&place, &bytes).is_err());
    }
}

#[test]
fn rejects_another_key_under_the_same_id() {
    let ring = |text: String| KeyRing::parse(&text).expect("keys");
    let place = SecretColumn::API_KEY.of(Uuid::from_u128(1), Uuid::from_u128(2));
    let stored = ring(format!("a:{}", *generate()))
        .encrypt(&place, &"secret".into())
        .expect("encrypted");
    let refused = ring(format!("a:{}", *generate()))
        .decrypt(&place, &stored)
        .map(|_| ());
    assert_eq!(refused, Err(CryptoError::NotAuthentic("a".to_owned())));
}

#[test]
fn keys_keep_their_order_and_are_never_printed() {
    let ring = &RINGS.during;
    let ids: Vec<&str> = ring.keys().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["new", "old"]);

    let key = r#"Key { id: "new", cipher: ChaChaPoly1305 { .. } }"#;
    assert_eq!(format!("{:?}", ring.current), key);
}

#[test]
fn errors_name_the_entry_without_repeating_it() {
    let good = generate();
    let short = STANDARD.encode([1, 2, 3]);
    let zeros = STANDARD.encode([0; 32]);
    let other = generate();

    for (text, expected) in [
        (String::new(), "must contain a key"),
        (" , ".to_owned(), "must contain a key"),
        (good.to_string(), "entry 1 must look like id:base64"),
        (format!("a:{},{}", *good, *other), "entry 2 must look like"),
        (format!(":{}", *good), "the id of entry 1"),
        (format!("a b:{}", *good), "the id of entry 1"),
        (format!("{}:{}", "x".repeat(33), *good), "the id of entry 1"),
        (
            format!("a:{},a:{}", *good, *other),
            "the id \"a\" appears twice",
        ),
        (
            format!("a:{},b:{}", *good, *good),
            "the key \"b\" appears before",
        ),
        (
            format!("a:{short}"),
            "the key \"a\" must be the base64 of 32 bytes",
        ),
        (format!("a:{zeros}"), "the key \"a\" must be random"),
        (format!("a:!{}", *good), "the key \"a\" must be the base64"),
    ] {
        let error = KeyRing::parse(&text)
            .err()
            .unwrap_or_else(|| panic!("{expected}"));
        assert!(error.contains(expected), "{error}");
        for secret in [
            good.as_str(),
            other.as_str(),
            short.as_str(),
            zeros.as_str(),
        ] {
            assert!(!error.contains(secret), "{error}");
        }
    }
}
