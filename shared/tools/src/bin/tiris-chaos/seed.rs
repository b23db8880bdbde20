//! Independent streams of random numbers from one seed: the load does not depend on the draws of the faults, and a
//! publisher does not depend on another.

use rand::SeedableRng;
use rand::rngs::StdRng;

/// The use of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Users,
    /// The messages of one publisher.
    Publisher(usize),
    /// The kinds of faults and their order.
    Faults,
    /// The pauses between faults.
    Pauses,
    /// The messages of a noisy user.
    Noise,
    /// The requests of one REST client.
    Requests(usize),
}

/// Returns the stream of `seed` for `purpose`.
pub(crate) fn stream(seed: u64, purpose: Purpose) -> StdRng {
    let tag = match purpose {
        Purpose::Users => 1,
        Purpose::Faults => 2,
        Purpose::Pauses => 3,
        Purpose::Noise => 4,
        Purpose::Requests(number) => 2000 + number as u64,
        Purpose::Publisher(number) => 1000 + number as u64,
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&tag.to_le_bytes());
    StdRng::from_seed(bytes)
}
