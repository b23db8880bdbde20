use super::super::SecretColumn;
use super::super::keys::{generate, parse_keys};
use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;
use uuid::Uuid;

/// Keys as they are during a rotation, and the one that is there before and after it.
struct Rings {
    before: KeyRing,
    during: KeyRing,
    after: KeyRing,
}

static RINGS: LazyLock<Rings> = LazyLock::new(|| {
    let old = format!("old:{}", *generate());
    let new = format!("new:{}", *generate());
    let ring = |text: &str| KeyRing::new(&parse_keys(text).expect("keys")).expect("a ring");
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
    fn a_secret_comes_back_from_its_place_and_every_ciphertext_differs(secret in ".{0,300}", row in ids(), user in ids(), column in 0usize..5) {
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
    fn a_ciphertext_that_was_moved_is_refused(secret in ".{0,40}", row in ids(), user in ids(), column in 0usize..5, other_row in ids(), other_user in ids(), other_column in 0usize..5) {
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
    fn a_ciphertext_that_was_changed_or_cut_is_refused(secret in ".{0,40}", row in ids(), user in ids(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
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
    fn a_key_that_is_gone_is_named_and_others_still_read(secret in ".{0,40}", row in ids(), user in ids()) {
        let place = SecretColumn::API_KEY.of(row, user);
        let stored = RINGS.before.encrypt(&place, &secret.as_str().into()).unwrap();
        let opened = RINGS.during.decrypt(&place, &stored).unwrap();
        prop_assert_eq!(opened.expose_secret(), &secret);
        let refused = RINGS.after.decrypt(&place, &stored).map(|_| ());
        prop_assert_eq!(refused, Err(CryptoError::UnknownKey("old".to_owned())));
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let place = SecretColumn::API_KEY.of(Uuid::nil(), Uuid::nil());
        prop_assert!(RINGS.during.decrypt(&place, &bytes).is_err());
    }
}

#[test]
fn the_same_id_with_another_key_does_not_read_it() {
    let ring = |text: String| KeyRing::new(&parse_keys(&text).expect("keys")).expect("a ring");
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
fn a_ring_shows_the_ids_of_its_keys_only() {
    assert_eq!(format!("{:?}", RINGS.during), r#"["new", "old"]"#);
}
