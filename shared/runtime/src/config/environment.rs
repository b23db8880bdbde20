//! Where a process runs.

use std::str::FromStr;

/// Where the process runs; decides how strict start-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine or a test.
    Dev,
    /// Users' books.
    Production,
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "dev" => Ok(Self::Dev),
            "production" => Ok(Self::Production),
            _ => Err("must be dev or production"),
        }
    }
}
