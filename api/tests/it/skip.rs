//! Skips tests whose requirements the machine does not meet.

use std::io::Write;

/// Prints what was not tested and why; fails when the variable `requirement` is `required`.
pub(crate) fn skip(requirement: &str, what: &str, why: &str) {
    assert_ne!(
        std::env::var(requirement).as_deref(),
        Ok("required"),
        "{why}"
    );

    // Bypasses the test runner, which hides the output of successful tests.
    let skipped = format!("SKIPPED: {what} was not tested: {why}\n");
    std::io::stderr()
        .write_all(skipped.as_bytes())
        .expect("a line");
}
