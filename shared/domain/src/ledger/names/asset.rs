//! The symbols of assets, in any script.

use crate::value::newtype::text_newtype;
use crate::value::{Invalid, Schema};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longest symbol, in characters (Unicode scalar values) of its stored form.
const ASSET_LENGTH_MAX: usize = 64;
/// The characters of a symbol besides letters, digits and marks.
const ASSET_PUNCTUATION: &str = "._:-+$@#&*!";

/// The symbol of an asset: 1 to 64 letters, digits and marks of any script and `._:-+$@#&*!`, in upper case and NFC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset(String);

impl Asset {
    /// Returns the asset with a symbol in any case and normalization form; `None` when the text is no symbol.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let symbol = canonical(text);

        (has_valid_length(&symbol) && symbol.chars().all(is_allowed)).then_some(Self(symbol))
    }

    /// Returns the asset that a column of symbols names, as stored. Earlier versions accepted all printable ASCII
    /// characters except `/`, so accounts may have symbols that [`Asset::parse`] rejects.
    ///
    /// # Errors
    /// [`Invalid`] when no version can have stored the text.
    pub fn from_column(text: String) -> Result<Self, Invalid> {
        let is_storable = |c: char| !c.is_whitespace() && !c.is_control() && c != '/';

        if has_valid_length(&text) && text.chars().all(is_storable) {
            Ok(Self(text))
        } else {
            Err(Self::invalid(text))
        }
    }

    pub(super) fn invalid(text: String) -> Invalid {
        Invalid::given(
            format!(
                "must be 1 to {ASSET_LENGTH_MAX} characters: letters, digits and marks of any script, and {ASSET_PUNCTUATION}"
            ),
            &text.into(),
        )
    }
}

/// Returns the stored form of a symbol. Upper case may need several characters for one, which may compose with the next.
fn canonical(text: &str) -> String {
    let composed: String = text.nfc().collect();

    composed.to_uppercase().nfc().collect()
}

fn has_valid_length(symbol: &str) -> bool {
    (1..=ASSET_LENGTH_MAX).contains(&symbol.chars().count())
}

fn is_allowed(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Mark, Number};

    ASSET_PUNCTUATION.contains(c) || matches!(c.general_category_group(), Letter | Mark | Number)
}

impl TryFrom<String> for Asset {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text).ok_or_else(|| Self::invalid(text))
    }
}

text_newtype!(
    Asset,
    Schema {
        // Character classes of Unicode need a flag that JSON Schema does not have.
        pattern: Some(r"^[^\s/\x00-\x1f\x7f-\x9f]*$"),
        min_length: Some(1),
        max_length: Some(ASSET_LENGTH_MAX),
        example: Some(|| "BTC".into()),
        ..Schema::STRING
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;
    use proptest::prelude::*;

    #[track_caller]
    fn symbol(text: &str) -> String {
        let asset = Asset::from_json(text.into()).expect(text);

        asset.into_string()
    }

    #[test]
    fn accepts_symbols_of_exchanges_and_chains() {
        for text in [
            "币安人生",
            "1000PEPE",
            "BTC.D",
            "BTC-PERP",
            "GOLD:XAU",
            "$TRUMP",
            "C++",
            "हिन्दी",
            "_:-+$@#&*!.",
        ] {
            assert_eq!(symbol(text), text);
        }
        let address = "0xdac17f958d2ee523a2206206994597c13d831ec7";
        assert_eq!(symbol(address), address.to_uppercase());
    }

    #[test]
    fn stores_upper_case_in_the_composed_form() {
        for (text, stored) in [
            ("btc", "BTC"),
            ("пепе", "ПЕПЕ"),
            ("straße", "STRASSE"),
            ("e\u{301}", "É"),
            ("É", "É"),
            ("ᾳ", "ΑΙ"),
        ] {
            assert_eq!(symbol(text), stored);
        }
    }

    #[test]
    fn the_limit_counts_characters_of_the_stored_form() {
        let widest = "币".repeat(64);
        assert_eq!(symbol(&widest), widest);
        assert_eq!(symbol(&"ß".repeat(32)), "S".repeat(64));
        assert_eq!(symbol(&"e\u{301}".repeat(64)), "É".repeat(64));

        for text in ["币".repeat(65), "ß".repeat(33)] {
            assert!(Asset::from_json(text.into()).is_err());
        }
    }

    #[test]
    fn rejects_other_characters_with_the_value() {
        for text in [
            "",
            "a/b",
            "a b",
            "a\u{a0}b",
            "a\u{3000}b",
            "a\tb",
            "a\nb",
            "a\0b",
            "a\u{85}b",
            "a\u{200b}b",
            "a\u{202e}b",
            "€",
            "😀",
            "a~b",
            "A(B)",
            "a%b",
            "a,b",
            "a\"b",
        ] {
            let invalid = Asset::from_json(text.into()).expect_err(text);

            let given = serde_json::Value::from(text);
            assert_eq!(
                invalid.to_string(),
                format!(
                    "must be 1 to 64 characters: letters, digits and marks of any script, and ._:-+$@#&*! (given: {given})"
                )
            );
        }
    }

    #[test]
    fn a_column_may_have_a_symbol_of_an_earlier_version() {
        let earlier: String = ('!'..='~').filter(|c| *c != '/').collect();
        for text in [&earlier[..20], &earlier[earlier.len() - 20..], "币安人生"] {
            let asset = Asset::from_column(text.to_owned()).expect("stored");

            assert_eq!(asset.as_str(), text);
        }
        for text in ["", "A/B", "A B"] {
            assert!(Asset::from_column(text.to_owned()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_stored_form_names_the_same_asset(text in r"[\p{L}\p{M}\p{N}._:+$@#&*!-]{1,70}") {
            if let Some(asset) = Asset::parse(&text) {
                let decomposed: String = text.nfd().collect();

                prop_assert_eq!(Asset::parse(asset.as_str()), Some(asset.clone()));
                prop_assert_eq!(Asset::parse(&decomposed), Some(asset.clone()));
                prop_assert_eq!(Asset::from_column(asset.to_string()), Ok(asset));
            }
        }

        #[test]
        fn no_symbol_has_a_space_a_control_or_a_slash(text in any::<String>()) {
            if let Some(asset) = Asset::parse(&text) {
                prop_assert!(Asset::from_column(asset.into_string()).is_ok());
            }
        }
    }
}
