//! What a person sees while a long run goes on.
//!
//! Owns: the progress line and the lines above it. Must not know: what goes on.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(200);

/// The terminal.
#[derive(Clone, Debug)]
pub struct View {
    bar: ProgressBar,
    verbose: bool,
}

impl View {
    /// A terminal with an empty progress line; `verbose` shows details.
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

    /// A line that stays. That nobody reads any more (a closed pipe) is no reason to stop.
    pub fn say(&self, line: &str) {
        use std::io::Write;
        self.bar
            .suspend(|| writeln!(std::io::stdout(), "{line}").ok());
    }

    /// A line that stays, for those who want to see everything.
    pub fn detail(&self, line: &str) {
        if self.verbose {
            self.say(line);
        }
    }

    /// What goes on now, of which `total` steps are to be done.
    pub fn phase(&self, what: &str, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(0);
        self.bar.set_message(what.to_owned());
        self.detail(&format!("-- {what}"));
    }

    /// How many of these steps are done.
    pub fn progress(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Takes the progress line away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
