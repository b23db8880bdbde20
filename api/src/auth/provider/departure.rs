//! Where a login leads.

/// The beginning of a login: where the person goes, and what has to be known when they come back.
pub(crate) struct Departure {
    pub(crate) url: String,
    pub(crate) pkce_verifier: Option<String>,
    pub(crate) nonce: Option<String>,
}
