//! Independent streams of random numbers from one seed.
//!
//! Owns: that the load of a seed does not depend on how many numbers the faults drew, nor one publisher on another.
//! Must not know: what is drawn.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Who there is.
    People,
    /// The messages of one publisher.
    Publisher(usize),
    /// Which faults, in which order.
    Faults,
    /// When they come.
    Pauses,
    /// The requests of one client over REST.
    Requests(usize),
}

/// The stream of `seed` for `purpose`.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> StdRng {
    let tag = match purpose {
        Purpose::People => 1,
        Purpose::Faults => 2,
        Purpose::Pauses => 3,
        Purpose::Requests(number) => 2000 + number as u64,
        Purpose::Publisher(number) => 1000 + number as u64,
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&tag.to_le_bytes());
    StdRng::from_seed(bytes)
}
