//! Asks before something is done that cannot be undone.

use anyhow::bail;
use std::io::{BufRead, IsTerminal, Write};

/// Asks on the terminal whether to do `what`; with `yes` it is not asked. Answers whether to go on.
///
/// # Errors
/// When there is nobody to ask.
pub(super) fn confirm(what: &str, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let stdin = std::io::stdin();

    if !stdin.is_terminal() {
        bail!("{what}: nobody can be asked here, repeat it with --yes to do it");
    }
    eprint!("{what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        eprintln!("nothing was changed");
    }

    Ok(agreed)
}
