//! Tests of what a machine may lack.

use std::io::Write;

/// Says that `what` was not tested and why; fails where the variable `requirement` is `required`.
pub(crate) fn skip(requirement: &str, what: &str, why: &str) {
    assert_ne!(
        std::env::var(requirement).as_deref(),
        Ok("required"),
        "{why}"
    );

    // Past the test runner, which shows what a test prints only when it fails.
    let skipped = format!("SKIPPED: {what} was not tested: {why}\n");
    std::io::stderr()
        .write_all(skipped.as_bytes())
        .expect("a line");
}
