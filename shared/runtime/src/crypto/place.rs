//! Where a ciphertext belongs.

use uuid::Uuid;

/// A column that holds ciphertexts. Table and column are part of what is authenticated: renaming one means
/// encrypting its secrets again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretColumn {
    table: &'static str,
    column: &'static str,
}

impl SecretColumn {
    /// API key of an exchange binding.
    pub const API_KEY: Self = Self::new("exchange_bindings", "api_key_encrypted");
    /// API secret of an exchange binding.
    pub const API_SECRET: Self = Self::new("exchange_bindings", "api_secret_encrypted");
    /// Passphrase of an exchange binding.
    pub const PASSPHRASE: Self = Self::new("exchange_bindings", "passphrase_encrypted");
    /// Access token an identity provider gave.
    pub const ACCESS_TOKEN: Self = Self::new("oauth_identities", "access_token_encrypted");
    /// Refresh token an identity provider gave.
    pub const REFRESH_TOKEN: Self = Self::new("oauth_identities", "refresh_token_encrypted");

    const fn new(table: &'static str, column: &'static str) -> Self {
        Self { table, column }
    }

    /// This column in the row `row`, which belongs to `user`.
    #[must_use]
    pub const fn of(self, row: Uuid, user: Uuid) -> Place {
        Place {
            column: self,
            row,
            user,
        }
    }
}

/// The one place where a ciphertext can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    column: SecretColumn,
    row: Uuid,
    user: Uuid,
}

impl Place {
    /// What is authenticated together with the ciphertext. Every part ends where no other can begin.
    pub(super) fn associated_data(&self, key_id: &str) -> Vec<u8> {
        let names = [
            b"tiris secret v1",
            key_id.as_bytes(),
            self.column.table.as_bytes(),
            self.column.column.as_bytes(),
        ];
        // None of them can contain a zero byte, and ids have a fixed length.
        let mut data: Vec<u8> = names
            .into_iter()
            .flat_map(|name| name.iter().copied().chain([0]))
            .collect();
        data.extend(self.row.as_bytes());
        data.extend(self.user.as_bytes());
        data
    }
}
