//! The TLS provider of the process.
//!
//! Owns: choosing it. Two crates of the build bring one, and without a choice the first TLS connection would panic.

use std::sync::Once;

static CHOSEN: Once = Once::new();

/// Chooses ring, once; a choice made before stays.
pub fn choose_provider() {
    CHOSEN.call_once(|| {
        // Refused only when somebody has chosen before, which serves as well.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
}
