//! The W3C trace context: `version-traceid-parentid-flags`.

use sha2::{Digest, Sha256};

/// The flag of traces that are collected.
const SAMPLED: u8 = 1;

/// A span of a trace, as `traceparent` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Id of the trace; never all zeros.
    pub trace: [u8; 16],
    /// Id of the span; never all zeros.
    pub span: [u8; 8],
    /// Whether the trace is collected.
    pub sampled: bool,
}

impl TraceContext {
    /// Parses a `traceparent`; None when it is malformed.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let [version] = bytes(parts.next()?)?;
        let trace = bytes(parts.next()?)?;
        let span = bytes(parts.next()?)?;
        let [flags] = bytes(parts.next()?)?;

        // Later versions may append parts.
        let is_whole = version != 0 || parts.next().is_none();
        let is_valid = version != u8::MAX && trace != [0; 16] && span != [0; 8] && is_whole;
        is_valid.then_some(Self {
            trace,
            span,
            sampled: flags & SAMPLED == SAMPLED,
        })
    }

    pub(super) fn traceparent(&self) -> String {
        let trace = hex::encode(self.trace);
        let span = hex::encode(self.span);
        let flags = u8::from(self.sampled);
        format!("00-{trace}-{span}-{flags:02x}")
    }
}

/// Derives a trace id from a request id; equal ones give equal ones in every process.
pub(super) fn trace_of(id: &str) -> [u8; 16] {
    if let Some(trace) = bytes(id).filter(|trace| *trace != [0; 16]) {
        return trace;
    }
    let mut trace = [0; 16];
    trace.copy_from_slice(&Sha256::digest(id)[..16]);
    trace
}

/// Decodes exactly N bytes of lower-case hexadecimal.
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
    fn accepts_only_a_valid_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for valid in [
            format!("00-{id}-00f067aa0ba902b7-01"),
            format!("00-{id}-00f067aa0ba902b7-00"),
            format!("01-{id}-00f067aa0ba902b7-01-more"),
        ] {
            let context = TraceContext::parse(&valid).expect("a trace context");
            let expected = format!("00{}", &valid[2..55]);
            assert_eq!(context.traceparent(), expected, "{valid}");
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
            assert_eq!(TraceContext::parse(&wrong), None, "{wrong}");
        }
    }
}
