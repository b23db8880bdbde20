//! Files with secrets that are made once.
//!
//! Owns: that nobody but the owner reads one, that none is replaced, and that it outlives a loss of power. Must not know:
//! what is in them.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Readable and writable by its owner only.
const MODE: u32 = 0o600;

/// Makes the file, and its folder. One that is there stays as it is; when two processes make it at once, one file wins.
pub fn create(file: &Path, content: &[u8]) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Written beside and then linked, so that nobody reads half a file and nobody's secrets are replaced.
    let draft = folder.join(format!(".draft-{:016x}", rand::random::<u64>()));
    let written = write(&draft, content).and_then(|()| match std::fs::hard_link(&draft, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    // Best effort: a draft left behind holds secrets nobody uses.
    std::fs::remove_file(&draft).ok();
    written?;
    File::open(folder)?.sync_all()
}

fn write(draft: &Path, content: &[u8]) -> Result<()> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(draft)?;
    out.write_all(content)?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_made_for_its_owner_only_and_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/secret");
        create(&file, b"first").expect("made");
        create(&file, b"second").expect("left alone");
        assert_eq!(std::fs::read(&file).expect("there"), b"first");
        assert_eq!(
            std::fs::metadata(&file)
                .expect("there")
                .permissions()
                .mode()
                & 0o777,
            MODE
        );
        let names = std::fs::read_dir(file.parent().expect("a folder"))
            .expect("readable")
            .count();
        assert_eq!(names, 1, "no draft is left");
    }
}
