//! Creates files that hold secrets: readable by their owner only, never replaced, and safe against a power failure.

use std::fs::File;
use std::io::{ErrorKind, Result, Write};
use std::path::Path;
use tempfile::NamedTempFile;

/// Creates the file and its folder. An existing file stays as it is; when two processes create it at once, one wins.
pub fn create(file: &Path, content: &[u8]) -> Result<()> {
    // A file without a folder lies in the current one.
    let file = Path::new(".").join(file);
    let folder = file.parent().unwrap_or(&file);
    std::fs::create_dir_all(folder)?;

    // Written to a temporary file first, so that no reader sees half a file.
    let mut draft = NamedTempFile::new_in(folder)?;
    draft.write_all(content)?;
    draft.as_file().sync_all()?;

    match draft.persist_noclobber(&file) {
        Err(failed) if failed.error.kind() != ErrorKind::AlreadyExists => Err(failed.error),
        _ => File::open(folder)?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_private_and_never_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/secret");

        create(&file, b"first").expect("created");
        create(&file, b"second").expect("ignored");

        assert_eq!(std::fs::read(&file).expect("readable"), b"first");
        let metadata = std::fs::metadata(&file).expect("metadata");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let names = std::fs::read_dir(file.parent().expect("a folder"))
            .expect("readable")
            .count();
        assert_eq!(names, 1, "the temporary file is left behind");
    }
}
