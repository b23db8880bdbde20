//! The description of a process to start: arguments, environment, log file, and how it ends with this process.

use super::folders::process_dir;
use super::guard;
use super::process::Process;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A longer log is renamed to `<name>.1` before the next start.
const LOG_LIMIT_BYTES: u64 = 8 * 1024 * 1024;

/// A process to start, created by [`Process::command`].
#[derive(Debug)]
pub struct ProcessCommand {
    pub(super) command: Command,
    name: String,
    log: Option<PathBuf>,
    signal_on_exit: Option<Signal>,
    show_log: bool,
}

impl Process {
    /// Describes a process to start.
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
            signal_on_exit: Some(Signal::SIGKILL),
            show_log: true,
        }
    }

    /// Adds an argument.
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

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Sets the name in messages; the name of the program by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Appends standard output and error to this file; a scratch file by default.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.log = Some(file.into());
        self
    }

    /// Sets whether the end of the log is printed when the process is dropped, true by default: the test runner shows it
    /// when the test fails.
    #[must_use]
    pub fn show_log(mut self, show: bool) -> Self {
        self.show_log = show;
        self
    }

    /// Sets the signal that ends it when this process dies; SIGKILL by default.
    #[must_use]
    pub fn signal_on_exit(mut self, signal: Signal) -> Self {
        self.signal_on_exit = Some(signal);
        self
    }

    /// Lets it run on when this process dies.
    #[must_use]
    pub(super) fn detached(mut self) -> Self {
        self.signal_on_exit = None;
        self
    }

    /// Starts the process, without standard input.
    ///
    /// It gets its own process group, so that Ctrl-C in a terminal reaches only this process, which ends it in order.
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
        // Created before the guard holds it, so that the child ends even when that fails.
        let process = Process {
            name: self.name,
            child,
            status: None,
            log,
            is_guarded: self.signal_on_exit.is_some(),
            show_log: self.show_log,
            is_detached: false,
        };
        if let Some(signal) = self.signal_on_exit {
            guard::hold(process.pid(), signal)?;
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
        fs::rename(path, aside).with_context(|| format!("cannot rename {}", path.display()))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| format!("cannot write the log file {}", path.display()))
}
