//! The trace context of W3C: `version-traceid-parentid-flags`.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Bit of the flags that says that the trace is collected.
const SAMPLED: u8 = 1;

/// A part of a trace, as it is named to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace.
    pub trace: [u8; 16],
    /// The part of it.
    pub span: [u8; 8],
    /// Whether it is collected.
    pub sampled: bool,
}

impl FromStr for Parent {
    type Err = &'static str;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        let wrong = "must be a W3C trace context";
        let parts: Vec<&str> = header.split('-').collect();
        let [version, trace, span, flags, more @ ..] = parts.as_slice() else {
            return Err(wrong);
        };
        let [version] = bytes(version).ok_or(wrong)?;
        let trace = bytes(trace).ok_or(wrong)?;
        let span = bytes(span).ok_or(wrong)?;
        let [flags] = bytes(flags).ok_or(wrong)?;

        // What later versions append is theirs; the first has nothing more.
        let is_whole = version != 0 || more.is_empty();
        if version == u8::MAX || trace == [0; 16] || span == [0; 8] || !is_whole {
            return Err(wrong);
        }

        Ok(Self {
            trace,
            span,
            sampled: flags & SAMPLED == SAMPLED,
        })
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = hex::encode(self.trace);
        let span = hex::encode(self.span);
        let flags = u8::from(self.sampled);
        write!(f, "00-{trace}-{span}-{flags:02x}")
    }
}

/// The trace of an id of another form: the same everywhere.
pub(super) fn trace_of(id: &str) -> [u8; 16] {
    if let Some(trace) = bytes(id).filter(|trace| *trace != [0; 16]) {
        return trace;
    }
    let mut trace = [0; 16];
    trace.copy_from_slice(&Sha256::digest(id)[..16]);
    trace
}

/// Exactly so many bytes in lower-case hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok()?;
    is_lower_case.then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_honoured_only_when_it_is_valid() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for right in [
            format!("00-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b7-00"),
            format!("01-{id}-00f067aa0ba902b7-01-more"),
        ] {
            let parent: Parent = right.parse().expect("a parent");
            assert_eq!(
                parent.to_string(),
                format!("00{}", &right[2..55]),
                "{right}"
            );
        }

        for wrong in [
            String::new(),
            id.to_owned(),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
            format!("00-{id}-\u{e9}0f067aa0ba902b-01"),
        ] {
            assert!(wrong.parse::<Parent>().is_err(), "{wrong}");
        }
    }
}
