//! Keeps the logs, the database and the streams of a failed run.

use crate::checks::stream;
use crate::system::System;
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use tiris_testing::find_postgres;
use tiris_tools::run_program;
use tokio::process::Command;

/// Copies the logs of all processes and dumps the database and both streams into `folder`.
pub(crate) async fn everything(system: &System, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    copy_logs(system.folder(), folder)?;
    let mut dump = Command::new(find_postgres(None)?.bin.join("pg_dump"));
    dump.arg("--file")
        .arg(folder.join("database.sql"))
        .arg(&system.database_url);
    // The streams are written also when the database cannot be dumped.
    let dumped = run_program(&mut dump).await;

    let mut file = BufWriter::new(File::create(folder.join("streams.jsonl"))?);
    for message in stream::read_all(&system.nats_url, true).await? {
        let line = json!({"stream": message.stream, "seq": message.seq, "lane": message.lane,
                          "subject": message.subject, "payload": String::from_utf8_lossy(&message.payload)});
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    dumped.map(drop)
}

fn copy_logs(from: &Path, to: &Path) -> Result<()> {
    let names = ["postgres", "standby", "early", "nats"];
    let folders = names.into_iter().map(|name| from.join(name));
    for folder in folders.chain([from.to_owned()]) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().contains(".log") {
                fs::copy(entry.path(), to.join(name))?;
            }
        }
    }
    Ok(())
}
