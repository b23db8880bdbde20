//! The development stack on this machine: its folder, and the variables that it writes for other programs.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file of the variables, in the folder of the stack.
pub const FILE: &str = "env";
/// The folder of the stack, below the current folder.
const FOLDER: &str = ".tiris";

/// Returns the folder of the stack: `TIRIS_DEV_DIR`, or `.tiris` in the current folder.
#[must_use]
pub fn folder() -> PathBuf {
    let moved = std::env::var_os("TIRIS_DEV_DIR").filter(|folder| !folder.is_empty());
    moved.unwrap_or_else(|| FOLDER.into()).into()
}

/// Returns a variable of the running stack; `None` when no stack runs.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder().join(FILE)).ok()?;
    parse(&text)?.remove(name)
}

/// Returns the lines of the file: a name and a quoted value each.
#[must_use]
pub fn format(variables: &BTreeMap<String, String>) -> String {
    variables
        .iter()
        .map(|(name, value)| format!("{name}={}\n", quote(value)))
        .collect()
}

/// Returns the variables of the file; `None` when it is damaged.
#[must_use]
pub fn parse(text: &str) -> Option<BTreeMap<String, String>> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), unquote(value)?))
    };
    text.lines().map(pair).collect()
}

/// Quotes a value for a POSIX shell.
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn unquote(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace(r"'\''", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_and_we_read_the_same_values() {
        for value in ["", "plain", "it's $HOME `x` \\ \"", "''"] {
            let file = format(&BTreeMap::from([("NAME".to_owned(), value.to_owned())]));

            let ours = parse(&file).expect("a whole file");
            let script = format!("{file}printf %s \"$NAME\"");
            let shell = Command::new("/bin/sh").args(["-c", &script]).output();

            assert_eq!(ours["NAME"], value);
            assert_eq!(shell.expect("a shell").stdout, value.as_bytes());
        }
    }
}
