//! The folders of the harness: the workspace, the development folder, scratch folders, and the removal of orphaned ones.

use super::guard;
use super::server_user::ServerUser;
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

/// All users may enter the folder, as PostgreSQL's user must; only the owner may list it.
const ENTER_ONLY: u32 = 0o711;
const PROCESS_PREFIX: &str = "process-";

/// Returns the root of the workspace: the nearest folder with a `Cargo.lock` above the current folder or the executable.
fn workspace_root() -> Result<PathBuf> {
    let executable = std::env::current_exe().context("cannot find this executable")?;
    let here = std::env::current_dir().context("cannot find the current folder")?;
    let root = here
        .ancestors()
        .chain(executable.ancestors())
        .find(|folder| folder.join("Cargo.lock").is_file());
    root.map(Path::to_owned)
        .context("found no Cargo.lock in any folder above: run this inside the project")
}

/// Returns the folder of the development stack: `TIRIS_DEV_DIR`, relative to the workspace, or `.tiris` there.
pub fn dev_dir() -> Result<PathBuf> {
    let root = workspace_root()?;
    let moved = std::env::var_os("TIRIS_DEV_DIR").filter(|folder| !folder.is_empty());
    Ok(root.join(moved.unwrap_or_else(|| ".tiris".into())))
}

/// Creates a folder that is removed on drop or after the death of this process.
pub fn scratch_dir(name: &str) -> Result<TempDir> {
    let dir = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(process_dir()?);
    dir.context("cannot create a scratch folder")
}

/// Returns the folder that contains the scratch folders of this process.
pub(super) fn process_dir() -> Result<&'static Path> {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    if DIR.get().is_none() {
        let base = base_dir()?;
        sweep(&base);
        let dir = base.join(format!("{PROCESS_PREFIX}{}", std::process::id()));
        make_dir(&dir)?;
        guard::remove(&dir)?;
        // Another thread may have created the same folder first.
        DIR.get_or_init(|| dir);
    }
    DIR.get()
        .map(PathBuf::as_path)
        .context("no folder for this process")
}

/// Returns the folder of all test processes of this user and workspace. It is outside the workspace, whose parents
/// PostgreSQL's user often may not enter.
pub(super) fn base_dir() -> Result<PathBuf> {
    let user = ServerUser::for_servers()?;
    let temporary = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    let is_reachable = |dir: &PathBuf| user.as_ref().is_none_or(|user| user.can_reach(dir));
    let temporary = temporary
        .into_iter()
        .find(|dir| dir.is_dir() && is_reachable(dir))
        .context("found no usable folder for temporary files: set TMPDIR")?;

    let workspace = short_hash(&workspace_root()?);
    let dir = temporary.join(format!("tiris-test-{}-{workspace}", Uid::effective()));
    make_dir(&dir)?;

    Ok(dir)
}

/// Returns eight hexadecimal digits that identify a value; they are the same in every process of a build.
pub(super) fn short_hash(value: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:08x}", hasher.finish() & 0xffff_ffff)
}

/// Creates the folder, or checks that an existing one is ours, since its path is predictable for other users.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(ENTER_ONLY).create(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        created => created.with_context(|| format!("cannot create {}", dir.display()))?,
    }
    let meta =
        fs::symlink_metadata(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let ours = meta.is_dir() && meta.uid() == Uid::effective().as_raw();
    anyhow::ensure!(
        ours,
        "{} belongs to another user: remove it or set TMPDIR",
        dir.display()
    );
    Ok(())
}

/// Removes the folders of dead processes, which remain only when the whole machine or container died.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name
            .to_str()
            .and_then(|name| name.strip_prefix(PROCESS_PREFIX)?.parse().ok());
        if pid.is_some_and(|pid| !is_alive(pid)) {
            // Another process may remove it at the same time.
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Reports whether a process with this number exists.
pub(super) fn is_alive(pid: i32) -> bool {
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}
