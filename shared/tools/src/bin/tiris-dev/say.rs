//! Lines for a person.

/// Prints a line. That nobody reads any more (a closed pipe) is no reason to stop.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        writeln!(std::io::stdout(), $($words)*).ok();
    }};
}
pub(crate) use say;
