//! Standard error of a service: lines are gathered for a moment, so that a busy service writes many of them at once.
//!
//! Owns: what waits to be written, and when it is. Must not know: what a line says.

use anyhow::Result;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a line waits at most, unless nobody reads what was written.
const GATHERED_FOR: Duration = Duration::from_millis(20);
/// What waits at most, in bytes; who has more to tell waits for the reader.
const WAITING_MAX: usize = 256 * 1024;

/// Lines on their way.
pub(super) struct Output {
    waiting: Mutex<Vec<u8>>,
    /// Something waits where nothing did.
    begun: Condvar,
    /// Whoever holds it writes, so that lines keep their order.
    out: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

impl Output {
    /// Starts the thread that writes to `out`, which ends with the process.
    pub(super) fn start(out: impl Write + Send + 'static) -> Result<Arc<Self>> {
        let output = Arc::new(Self {
            waiting: Mutex::default(),
            begun: Condvar::new(),
            out: Mutex::new(Box::new(out)),
        });
        let writer = Arc::clone(&output);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    let begun = writer
                        .begun
                        .wait_while(lock(&writer.waiting), |waiting| waiting.is_empty());
                    let begun = begun.unwrap_or_else(PoisonError::into_inner);
                    drop(
                        writer
                            .begun
                            .wait_timeout_while(begun, GATHERED_FOR, |_| true),
                    );
                    writer.flush();
                }
            })?;
        Ok(output)
    }

    /// Takes whole lines.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut waiting = lock(&self.waiting);
        let was_empty = waiting.is_empty();
        waiting.extend_from_slice(lines);
        let is_much = waiting.len() >= WAITING_MAX;
        drop(waiting);
        if is_much {
            self.flush();
        } else if was_empty {
            self.begun.notify_one();
        }
    }

    /// Writes all that waits.
    pub(super) fn flush(&self) {
        let mut out = lock(&self.out);
        let lines = std::mem::take(&mut *lock(&self.waiting));
        // Nobody can be told that the log is lost, and the service goes on.
        out.write_all(&lines).ok();
    }
}

/// A panic elsewhere leaves nothing half done in here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Told(Sender<Vec<u8>>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_soon_many_at_once_and_in_order() {
        let (sender, told) = channel();
        let output = Output::start(Told(sender)).expect("a thread");
        for n in 0..1_000 {
            output.push(format!("{n}\n").as_bytes());
        }
        let expected: Vec<u8> = (0..1_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let (mut written, mut writes) = (Vec::new(), 0);
        while written.len() < expected.len() {
            written.extend(
                told.recv_timeout(Duration::from_secs(20))
                    .expect("written by itself"),
            );
            writes += 1;
        }
        assert_eq!(written, expected);
        assert!(writes < 1_000, "{writes} writes");
    }

    #[test]
    fn what_waits_is_written_when_it_is_much_or_asked_for() {
        let (sender, told) = channel();
        let output = Output {
            waiting: Mutex::default(),
            begun: Condvar::new(),
            out: Mutex::new(Box::new(Told(sender))),
        };
        output.push(b"one\n");
        assert!(told.try_recv().is_err(), "nobody writes by himself here");
        output.flush();
        assert_eq!(told.try_recv().expect("asked for"), b"one\n");
        output.push(&vec![b'x'; WAITING_MAX]);
        assert_eq!(told.try_recv().expect("much").len(), WAITING_MAX);
    }
}
