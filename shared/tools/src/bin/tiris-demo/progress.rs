//! What the person who runs the bot sees while it works: a bar on a terminal, now and then a line elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines when there is no terminal to draw a bar on.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// The bar is redrawn at least this often, so that clocks move while nothing else does.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

/// Shows how far a long work is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    drawn: bool,
    last_line: Instant,
}

impl Progress {
    /// Progress through `total` candles, or without an end.
    pub(super) fn of_candles(total: Option<u64>) -> Self {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{wide_bar} {human_pos}/{human_len} candles · {msg} · {elapsed}, {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {human_pos} candles · {msg} · {elapsed}",
            ),
        };
        Self::start(bar, template)
    }

    /// Waiting for something, with a changing message.
    pub(super) fn of_waiting() -> Self {
        Self::start(ProgressBar::new_spinner(), "{spinner} {msg} · {elapsed}")
    }

    fn start(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let drawn = std::io::stderr().is_terminal();
        if drawn {
            bar.enable_steady_tick(REDRAW_INTERVAL);
        }
        Self {
            bar,
            drawn,
            last_line: Instant::now(),
        }
    }

    /// One more candle is through.
    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }

    /// How long this has been going on.
    pub(super) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    /// What stands beside the bar.
    pub(super) fn say(&mut self, message: String) {
        if !self.drawn && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            match self.bar.length() {
                Some(total) => eprintln!("{}/{total} candles · {message}", self.bar.position()),
                None => eprintln!("{message}"),
            }
        }
        self.bar.set_message(message);
    }

    /// A line of its own, above the bar.
    pub(super) fn note(&self, line: &str) {
        if self.drawn {
            self.bar.println(line)
        } else {
            eprintln!("{line}")
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
