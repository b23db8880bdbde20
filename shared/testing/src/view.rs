//! The terminal output of a long run: a progress line and the lines above it.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(200);

/// The terminal output of a run; clones share it.
#[derive(Clone, Debug)]
pub struct View {
    bar: ProgressBar,
    verbose: bool,
}

impl View {
    /// Shows an empty progress line; `verbose` enables details.
    #[must_use]
    pub fn new(verbose: bool) -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {elapsed_precise} {bar:30} {pos}/{len} {msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self { bar, verbose }
    }

    /// Prints a line. A closed pipe is not an error.
    pub fn say(&self, line: &str) {
        use std::io::Write;
        self.bar
            .suspend(|| writeln!(std::io::stdout(), "{line}").ok());
    }

    /// Prints a line in verbose mode.
    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.say(line);
        }
    }

    /// Starts a phase of `total` steps.
    pub fn phase(&self, what: &str, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(0);
        self.bar.set_message(what.to_owned());
        self.detail(&format!("-- {what}"));
    }

    /// Sets the number of completed steps.
    pub fn progress(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Removes the progress line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
