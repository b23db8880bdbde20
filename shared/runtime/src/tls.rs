//! The TLS provider of the process, and the certificate authorities that outgoing calls trust.

use rustls::crypto::ring;
use rustls::{ClientConfig, Error, RootCertStore};
use std::sync::Arc;

/// Installs ring as the provider of the process; a provider installed before stays.
///
/// The build contains two providers, and without a choice the first TLS connection would panic.
pub fn choose_provider() {
    ring::default_provider().install_default().ok();
}

/// Returns the configuration of outgoing calls, which trusts Mozilla's root certificates as of the build, so that every
/// machine trusts the same ones.
pub fn outgoing() -> Result<ClientConfig, Error> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore { roots })
        .with_no_client_auth())
}
