//! Describing a process to start: its arguments, environment, log file and how it ends with us.
//!
//! Owns: the options of a start. Must not know: the running process.

use super::leash;
use super::place::process_dir;
use super::process::Process;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A log longer than this is set aside as `<name>.1` before the next start writes to it.
const LOG_LIMIT_BYTES: u64 = 8 * 1024 * 1024;

/// What to start; made by [`Process::command`].
#[derive(Debug)]
pub struct ProcessCommand {
    pub(super) command: Command,
    name: String,
    log: Option<PathBuf>,
    signal_at_our_death: Option<Signal>,
    show_log: bool,
}

impl Process {
    /// Begins to describe a process to start.
    #[must_use]
    pub fn command(program: impl AsRef<Path>) -> ProcessCommand {
        ProcessCommand::new(program.as_ref())
    }
}

impl ProcessCommand {
    fn new(program: &Path) -> Self {
        let name = program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy()
            .into_owned();
        Self {
            command: Command::new(program),
            name,
            log: None,
            signal_at_our_death: Some(Signal::SIGKILL),
            show_log: true,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Takes a variable out of its environment.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Names it in messages; the program's name by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Appends what it writes, to standard output and error, to this file; a scratch file by default.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Whether the end of its log is printed when the guard is dropped, true by default: the test runner shows it
    /// when the test fails, and swallows it otherwise.
    #[must_use]
    pub fn show_log(mut self, show: bool) -> Self {
        self.show_log = show;
        self
    }

    /// Which signal ends it when we die; SIGKILL by default.
    #[must_use]
    pub fn signal_at_our_death(mut self, signal: Signal) -> Self {
        self.signal_at_our_death = Some(signal);
        self
    }

    /// Lets it live on when we die.
    #[must_use]
    pub(super) fn outlive_us(mut self) -> Self {
        self.signal_at_our_death = None;
        self
    }

    /// Starts it, with nothing to read on standard input.
    ///
    /// It gets a process group of its own: Ctrl-C in a terminal reaches us, and we end it in our order.
    pub fn spawn(mut self) -> Result<Process> {
        let log = match self.log.take() {
            Some(log) => log,
            None => scratch_log(&self.name)?,
        };

        let output = open_log(&log)?;
        let errors = output.try_clone().context("cannot share a log file")?;
        let started = self
            .command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn();
        let program = self.command.get_program().to_string_lossy().into_owned();
        let child = started.with_context(|| format!("cannot start {program}"))?;
        // The guard object comes first, so that the child ends also when the leash fails.
        let process = Process {
            name: self.name,
            child,
            status: None,
            log,
            leashed: self.signal_at_our_death.is_some(),
            show_log: self.show_log,
            detached: false,
        };
        if let Some(signal) = self.signal_at_our_death {
            leash::hold(process.pid(), signal)?;
        }

        Ok(process)
    }
}

fn scratch_log(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Ok(process_dir()?.join(format!(
        "{name}-{}.log",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )))
}

fn open_log(path: &Path) -> Result<File> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LOG_LIMIT_BYTES) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        fs::rename(path, aside).with_context(|| format!("cannot set {} aside", path.display()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write the log file {}", path.display()))
}
