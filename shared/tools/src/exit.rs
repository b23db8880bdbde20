//! How a program ends.

use std::process::ExitCode;

/// Returns the exit code of an outcome: success for `true`. Prints an error under the program's name.
pub fn exit_code(program: &str, outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
