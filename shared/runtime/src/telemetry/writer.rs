//! Standard error of a service, written by its own thread, which collects lines for a moment and writes many at once.

use std::io::{BufWriter, Result, Stderr, Write, stderr};
use std::time::Duration;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// Longest delay of a line, unless standard error is slow.
const GATHERED_FOR: Duration = Duration::from_millis(20);
/// Maximum number of bytes of one write.
const BATCH_BYTES: usize = 256 * 1024;
/// Maximum number of lines in the queue; when it is full, a task that logs a line blocks.
const QUEUED_LINES_MAX: usize = 8_192;

/// Starts the thread; dropping the guard writes the remaining lines.
pub(super) fn start() -> (
    impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    WorkerGuard,
) {
    let (lines, guard) = NonBlockingBuilder::default()
        .thread_name("log")
        .buffered_lines_limit(QUEUED_LINES_MAX)
        .lossy(false)
        .finish(Gathering(BufWriter::with_capacity(BATCH_BYTES, stderr())));

    // Errors are written at once, since one may be the last line.
    (stderr.with_max_level(Level::ERROR).or_else(lines), guard)
}

/// Pauses after each flush, which the thread calls when its queue is empty.
struct Gathering<W: Write = Stderr>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, line: &[u8]) -> Result<usize> {
        self.0.write(line)
    }

    #[expect(clippy::disallowed_methods, reason = "the thread only writes")]
    fn flush(&mut self) -> Result<()> {
        self.0.flush()?;
        std::thread::sleep(GATHERED_FOR);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Writes(Sender<Vec<u8>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.send(bytes.to_vec()).ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_together_and_in_order() {
        let (sender, writes) = channel();
        let out = Gathering(BufWriter::with_capacity(BATCH_BYTES, Writes(sender)));
        let (mut lines, guard) = NonBlockingBuilder::default().lossy(false).finish(out);
        let expected: String = (0..1_000).map(|n| format!("{n}\n")).collect();

        for line in expected.split_inclusive('\n') {
            lines.write_all(line.as_bytes()).expect("queued");
        }
        drop(guard);

        let writes: Vec<Vec<u8>> = writes.try_iter().collect();
        assert_eq!(writes.concat(), expected.as_bytes());
        assert!(writes.len() < 1_000, "{} writes", writes.len());
    }
}
