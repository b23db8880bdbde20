//! Settings that are never shown.

use secrecy::{ExposeSecret, SecretString};

/// Text whose `Debug` form hides it, so that a printed argument struct tells nothing.
#[derive(Clone, Debug)]
pub struct SecretText(SecretString);

impl SecretText {
    /// The text.
    #[must_use]
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// Whether there is nothing but white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0.expose_secret().trim().is_empty()
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
