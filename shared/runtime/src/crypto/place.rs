//! The places ciphertexts belong to.

use uuid::Uuid;

/// A column that holds ciphertexts, as table and column. Both names are authenticated: after a rename all secrets of the
/// column must be encrypted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretColumn(&'static str, &'static str);

impl SecretColumn {
    /// API key of an exchange binding.
    pub const API_KEY: Self = Self("exchange_bindings", "api_key_encrypted");
    /// API secret of an exchange binding.
    pub const API_SECRET: Self = Self("exchange_bindings", "api_secret_encrypted");
    /// Passphrase of an exchange binding.
    pub const PASSPHRASE: Self = Self("exchange_bindings", "passphrase_encrypted");
    /// Access token of an identity provider.
    pub const ACCESS_TOKEN: Self = Self("oauth_identities", "access_token_encrypted");
    /// Refresh token of an identity provider.
    pub const REFRESH_TOKEN: Self = Self("oauth_identities", "refresh_token_encrypted");

    /// Returns the place of this column in a row that belongs to `user`.
    #[must_use]
    pub const fn of(self, row: Uuid, user: Uuid) -> Place {
        Place {
            column: self,
            row,
            user,
        }
    }
}

/// The only place where a ciphertext can be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    column: SecretColumn,
    row: Uuid,
    user: Uuid,
}

impl Place {
    /// Returns the data that is authenticated with the ciphertext. It is unambiguous, because the names contain no zero
    /// byte and the ids have a fixed length.
    pub(super) fn associated_data(&self, key_id: &str) -> Vec<u8> {
        let SecretColumn(table, column) = self.column;
        let names = ["tiris secret v1", key_id, table, column, ""];
        let mut data = names.join("\0").into_bytes();
        data.extend(self.row.as_bytes());
        data.extend(self.user.as_bytes());
        data
    }
}
