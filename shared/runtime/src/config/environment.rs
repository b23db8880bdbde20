//! The environment of a process, and which hosts count as its own machine.

use std::net::IpAddr;
use std::str::FromStr;

/// The environment of a process. Staging has the rules of production, on hosts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine or a test.
    Dev,
    /// The rehearsal of production.
    Staging,
    /// Real users and real money.
    Production,
}

impl Environment {
    /// Reports whether the strict rules for settings hold.
    #[must_use]
    pub const fn is_strict(self) -> bool {
        !matches!(self, Self::Dev)
    }
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dev" => Ok(Self::Dev),
            "staging" => Ok(Self::Staging),
            "production" => Ok(Self::Production),
            _ => Err("must be dev, staging or production"),
        }
    }
}

/// Reports whether a host name or address is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase();
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_all_names_of_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "api.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }

        for host in [
            "localhost.example",
            "128.0.0.1",
            "0.0.0.0",
            "::2",
            "example",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
