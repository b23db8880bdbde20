//! TLS of the process: its provider, and whom outgoing calls trust.
//!
//! Two crates of the build bring a provider, and without a choice the first TLS connection would panic.

use rustls::crypto::ring;
use rustls::{ClientConfig, Error, RootCertStore};
use std::sync::{Arc, Once};

static CHOSEN: Once = Once::new();

/// Chooses ring, once; a choice made before stays.
pub fn choose_provider() {
    // Refused only when somebody has chosen before, which serves as well.
    CHOSEN.call_once(|| drop(ring::default_provider().install_default()));
}

/// The settings of outgoing calls. The roots are those of Mozilla at the time of the build, so that every machine trusts
/// the same ones.
pub fn outgoing() -> Result<ClientConfig, Error> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore { roots })
        .with_no_client_auth();
    Ok(config)
}
