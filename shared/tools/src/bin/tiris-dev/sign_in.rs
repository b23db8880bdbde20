//! Whether people can sign in by hand.

/// Whether people can sign in by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignIn {
    Off,
    On,
}

impl SignIn {
    /// The flag of the command line that means it.
    pub(crate) fn as_flag(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::On => Some("--login"),
        }
    }
}
