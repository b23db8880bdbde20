//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::time::{Duration, Instant};

/// Time between two lines when there is no terminal to draw a bar on.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Redraws keep the clock moving while nothing else changes.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// Shows the progress of long work.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    last_line: Instant,
}

impl Progress {
    /// Returns progress through `total` candles; without an end when it is `None`.
    pub(crate) fn new(total: Option<usize>) -> Self {
        let (bar, template) = match total.and_then(|total| u64::try_from(total).ok()) {
            Some(total) => (
                ProgressBar::new(total),
                "{wide_bar} {human_pos}/{human_len} candles · {msg} · {elapsed}, {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} · {elapsed}"),
        };

        let bar = bar.with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(REDRAW_INTERVAL);
        }
        Self {
            bar,
            last_line: Instant::now(),
        }
    }

    /// Counts one more candle.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// Shows a message beside the bar.
    pub(crate) fn show(&mut self, message: String) {
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            match self.bar.length() {
                Some(total) => eprintln!("{}/{total} candles · {message}", self.bar.position()),
                None => eprintln!("{message}"),
            }
        }
        self.bar.set_message(message);
    }

    /// Prints a line of its own, above the bar.
    pub(crate) fn note(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}
