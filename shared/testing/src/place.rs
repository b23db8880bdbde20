//! Which folders the harness works in.
//!
//! Owns: the workspace's root, the development folder, scratch folders and the removal of orphaned ones. Must not
//! know: what is put there.

use super::account::Account;
use super::leash;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Folders may be entered by all, so that PostgreSQL's user gets through, and listed by their owner only.
const ENTER_ONLY: u32 = 0o711;
const PROCESS_PREFIX: &str = "process-";

/// The root of the cargo workspace this program works in: the nearest folder with a `Cargo.lock`, seen from the
/// current folder or else from the executable.
pub fn workspace_root() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("where is this program?")?;
    let here = std::env::current_dir().context("where are we?")?;
    let root = here
        .ancestors()
        .chain(executable.ancestors())
        .find(|folder| folder.join("Cargo.lock").is_file());
    root.map(Path::to_owned)
        .context("no Cargo.lock in any folder above: run this inside the project")
}

/// The folder of the development stack: `TIRIS_DEV_DIR` (relative to the workspace), else `.tiris` there.
pub fn dev_dir() -> Result<PathBuf> {
    let root = workspace_root()?;
    let moved = std::env::var_os("TIRIS_DEV_DIR").filter(|folder| !folder.is_empty());
    Ok(root.join(moved.unwrap_or_else(|| ".tiris".into())))
}

/// A new folder for this process, removed on drop or when the process has died.
pub fn scratch_dir(name: &str) -> Result<TempDir> {
    let dir = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(process_dir()?);
    dir.context("cannot make a scratch folder")
}

/// The folder of this process, in which its scratch folders lie.
pub(super) fn process_dir() -> Result<&'static Path> {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    if DIR.get().is_none() {
        let base = base_dir()?;
        sweep(&base);
        let dir = base.join(format!("{PROCESS_PREFIX}{}", std::process::id()));
        make_dir(&dir)?;
        leash::remove(&dir)?;
        // A second thread may have been first: it made the same folder.
        DIR.get_or_init(|| dir);
    }
    DIR.get()
        .map(PathBuf::as_path)
        .context("no folder for this process")
}

/// The folder of everything this user's test processes of this workspace put on disk.
///
/// Outside the workspace, whose parents PostgreSQL's user often may not enter.
pub(super) fn base_dir() -> Result<PathBuf> {
    let account = Account::for_servers()?;
    let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let reachable = |dir: &PathBuf| {
        dir.is_dir()
            && account
                .as_ref()
                .is_none_or(|account| account.can_reach(dir))
    };
    let temporary = temporary
        .into_iter()
        .find(reachable)
        .context("no folder for temporary files can be used")?;
    let dir = temporary.join(format!(
        "tiris-test-{}-{}",
        Uid::effective(),
        short_hash(&workspace_root()?)
    ));
    make_dir(&dir)?;

    Ok(dir)
}

/// Eight hexadecimal digits that tell one value from another; the same in every process of a build.
pub(super) fn short_hash(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:08x}", hasher.finish() & 0xffff_ffff)
}

/// Makes the folder, or takes it as it is when it is our own: the place is known to all users of the machine.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(ENTER_ONLY).create(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.with_context(|| format!("cannot make {}", dir.display()))?,
    }
    let meta =
        fs::symlink_metadata(dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    let ours = meta.is_dir() && meta.uid() == Uid::effective().as_raw();
    anyhow::ensure!(
        ours,
        "{} belongs to somebody else: remove it or set TMPDIR",
        dir.display()
    );
    Ok(())
}

/// Removes the folders of dead processes. Their servers died with them; the folders stay only when the whole
/// machine or container was cut off.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PROCESS_PREFIX)?.parse().ok());
        if pid.is_some_and(|pid| !is_alive(pid)) {
            // Best effort: two processes may sweep at once.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Whether a process with this number exists, whosever it is.
pub(super) fn is_alive(pid: i32) -> bool {
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}
