//! Files with secrets that are made once.
//!
//! Owns: that nobody but the owner reads one, that none is replaced, and that it outlives a loss of power. Must not know:
//! what is in them.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Makes the file, and its folder. One that is there stays as it is; when two processes make it at once, one file wins.
pub fn create(file: &Path, content: &[u8]) -> Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;

    // Written beside and then linked, so that nobody reads half a file and nobody's secrets are replaced.
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(content)?;
    draft.as_file().sync_all()?;
    match draft.persist_noclobber(file) {
        Err(failed) if failed.error.kind() != ErrorKind::AlreadyExists => Err(failed.error),
        _ => File::open(folder)?.sync_all(),
    }
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
        let metadata = std::fs::metadata(&file).expect("there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let names = std::fs::read_dir(file.parent().expect("a folder"))
            .expect("readable")
            .count();
        assert_eq!(names, 1, "no draft is left");
    }
}
