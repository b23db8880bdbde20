//! Names that people read: of users, tradings, sub-accounts and exchange bindings.
//!
//! Two names that look the same must not be different, and a name must not disturb the text around it. So names are in a
//! Unicode normal form without outer whitespace, and have no invisible or control characters, as the PRECIS framework
//! (RFC 8264) demands of its string classes.

use super::invalid::Invalid;
use super::newtype::text_newtype;
use super::schema::Schema;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

const NAME_CHARS_MAX: usize = 128;
/// Longest full name, in characters.
pub const FULL_NAME_CHARS_MAX: usize = 256;

/// Invisible characters with the category of a letter, mark or symbol: joiners, fillers and variation selectors.
const INVISIBLE: [std::ops::RangeInclusive<char>; 10] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffd}',
    '\u{e0000}'..='\u{e0fff}',
];

/// A name of 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl TryFrom<String> for Name {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let name = readable(&text)?;
        check_length(&name, 1, NAME_CHARS_MAX)?;
        Ok(Self(name))
    }
}

text_newtype!(
    Name,
    Schema {
        min_length: Some(1),
        max_length: Some(NAME_CHARS_MAX),
        description: Some(
            "Stored in Unicode NFC without outer whitespace; invisible and control characters are refused."
        ),
        ..Schema::STRING
    }
);

/// The full name of a user; it may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullName(String);

impl FullName {
    /// Returns the allowed characters of a foreign name, shortened to the limit.
    #[must_use]
    pub fn cleaned(text: &str) -> String {
        cleaned(text.nfc().map(blank), FULL_NAME_CHARS_MAX, is_readable)
    }
}

impl TryFrom<String> for FullName {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let name = readable(&text)?;
        check_length(&name, 0, FULL_NAME_CHARS_MAX)?;
        Ok(Self(name))
    }
}

text_newtype!(
    FullName,
    Schema {
        max_length: Some(FULL_NAME_CHARS_MAX),
        description: Some(
            "Stored in Unicode NFC without outer whitespace; invisible and control characters are refused."
        ),
        ..Schema::STRING
    }
);

/// A username: letters, digits and marks of any script, visible ASCII characters, and blanks between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Returns the allowed characters of a foreign name, shortened to `max`.
    #[must_use]
    pub fn cleaned(text: &str, max: usize) -> String {
        cleaned(text.nfkc(), max, is_of_username)
    }
}

impl TryFrom<String> for Username {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        check_outer_blanks(&text)?;
        // Before the normalization, which replaces some of them.
        readable(&text)?;
        // Compatible forms, such as full-width letters, would look like another user's name.
        let name: String = text.nfkc().collect();
        // Some letters become a blank and a mark.
        check_outer_blanks(&name)?;
        check_length(&name, 1, NAME_CHARS_MAX)?;

        match name.chars().find(|char| !is_of_username(*char)) {
            None => Ok(Self(name)),
            Some(refused) => Err(Invalid::new(format!(
                "may have letters, digits and marks of any script, visible ASCII characters and single blanks, but not U+{:04X}",
                u32::from(refused)
            ))),
        }
    }
}

text_newtype!(
    Username,
    Schema {
        min_length: Some(1),
        max_length: Some(NAME_CHARS_MAX),
        description: Some(
            "Letters, digits and marks of any script, visible ASCII characters, and blanks between them; stored in Unicode \
             NFKC. Two usernames that differ only in case are the same."
        ),
        ..Schema::STRING
    }
);

/// Returns a name in NFC without outer whitespace, all blanks as U+0020.
fn readable(text: &str) -> Result<String, Invalid> {
    let name: String = text.trim().nfc().map(blank).collect();

    match name.chars().find(|char| !is_readable(*char)) {
        None => Ok(name),
        Some(refused) => Err(Invalid::new(format!(
            "must not contain U+{:04X}: invisible, control and unassigned characters are not allowed",
            u32::from(refused)
        ))),
    }
}

/// Returns U+0020 for any blank.
fn blank(char: char) -> char {
    match char.general_category() {
        GeneralCategory::SpaceSeparator => ' ',
        _ => char,
    }
}

fn check_outer_blanks(name: &str) -> Result<(), Invalid> {
    if name.trim() == name {
        return Ok(());
    }
    Err(Invalid::new("must not begin or end with whitespace"))
}

fn check_length(name: &str, min: usize, max: usize) -> Result<(), Invalid> {
    let length = name.chars().count();

    if (min..=max).contains(&length) {
        return Ok(());
    }
    Err(Invalid::new(format!(
        "must have {min} to {max} characters besides outer whitespace (given: {length})"
    )))
}

/// Returns whether a reader sees a character, or it is a blank.
fn is_readable(char: char) -> bool {
    let is_other = char.general_category_group() == GeneralCategoryGroup::Other;
    let is_line_end = matches!(
        char.general_category(),
        GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator
    );
    let is_invisible = INVISIBLE.iter().any(|range| range.contains(&char));

    !is_other && !is_line_end && !is_invisible
}

fn is_of_username(char: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};
    let is_word = matches!(char.general_category_group(), Letter | Mark | Number);

    (is_word && is_readable(char)) || char.is_ascii_graphic() || char == ' '
}

fn cleaned(text: impl Iterator<Item = char>, max: usize, is_allowed: fn(char) -> bool) -> String {
    // Composed again, because a character left out may have stood between a letter and its mark.
    let allowed: String = text.filter(|char| is_allowed(*char)).nfc().collect();
    let short: String = allowed.trim().chars().take(max).collect();
    short.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use proptest::prelude::*;

    /// Characters that no name may have: zero-width, direction overrides, controls, fillers, private use.
    const REFUSED: [char; 14] = [
        '\0', '\n', '\u{7f}', '\u{85}', '\u{ad}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2028}',
        '\u{2066}', '\u{3164}', '\u{e000}', '\u{fe0f}', '\u{feff}',
    ];

    #[test]
    fn a_name_is_trimmed_and_composed() {
        for (given, stored) in [
            (" grid\u{a0}", "grid"),
            ("cafe\u{301}", "caf\u{e9}"),
            ("a\u{a0}b", "a b"),
            ("币安 🚀 (2)", "币安 🚀 (2)"),
        ] {
            let name = Name::from_json(given.into()).expect(given);

            assert_eq!(name.as_str(), stored);
        }
    }

    #[test]
    fn a_name_has_a_visible_character() {
        for blank in ["", " ", "\u{3000}", "\t"] {
            let refused = Name::from_json(blank.into()).expect_err("blank");

            assert!(refused.to_string().contains("1 to 128"), "{refused}");
        }
    }

    #[test]
    fn no_name_has_an_invisible_character() {
        for char in REFUSED {
            let text = format!("a{char}b");
            let code = format!("U+{:04X}", u32::from(char));

            for refused in [
                Name::try_from(text.clone()).expect_err(&code),
                FullName::try_from(text.clone()).expect_err(&code),
                Username::try_from(text).expect_err(&code),
            ] {
                assert!(refused.to_string().contains(&code), "{refused}");
            }
        }
    }

    #[test]
    fn a_cleaned_name_is_composed() {
        let foreign = "e\u{200b}\u{301}";

        assert_eq!(FullName::cleaned(foreign), "\u{e9}");
        assert_eq!(Username::cleaned(foreign, 64), "\u{e9}");
    }

    #[test]
    fn a_full_name_may_be_empty() {
        for empty in ["", "  "] {
            let name = FullName::from_json(empty.into()).expect("a name");

            assert_eq!(name.as_str(), "");
        }
    }

    #[test]
    fn accepts_a_username_with_inner_blanks() {
        for (given, stored) in [
            ("Ann Example", "Ann Example"),
            ("ａｎｎ", "ann"),
            ("Ünal_7", "Ünal_7"),
            ("100%", "100%"),
        ] {
            let name = Username::from_json(given.into()).expect("a username");

            assert_eq!(name.as_str(), stored);
        }
    }

    #[test]
    fn rejects_a_username_with_outer_blanks_or_symbols() {
        for text in ["", " ann", "ann ", "a\nb", "ann🚀", "“ann”", "\u{fe72}"] {
            assert!(Username::from_json(text.into()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_stored_name_is_stored_again_as_it_is(text in "\\PC{0,40}") {
            if let Ok(name) = Name::try_from(text.clone()) {
                prop_assert_eq!(Name::try_from(name.0.clone()), Ok(name));
            }
            if let Ok(name) = Username::try_from(text) {
                prop_assert_eq!(Username::try_from(name.0.clone()), Ok(name));
            }
        }

        #[test]
        fn a_cleaned_name_is_valid(text in any::<String>()) {
            let full = FullName::cleaned(&text);
            prop_assert_eq!(FullName::try_from(full.clone()).map(FullName::into_string), Ok(full));
            let name = Username::cleaned(&text, 64);
            prop_assert!(name.is_empty() || Username::try_from(name.clone()).map(Username::into_string) == Ok(name));
        }
    }
}
