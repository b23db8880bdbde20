//! Keeps what a failed run leaves for diagnosis.
//!
//! Owns: which files. Must not know: what failed.

use crate::checks::stream;
use crate::system::System;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use tiris_testing::find_postgres;

/// Copies the logs of all processes, dumps the database and both streams into `folder`.
pub(crate) async fn everything(system: &System, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    copy_logs(&system.folder(), folder)?;
    let dumped = dump(system, folder).await;
    let messages = stream::read_all(&system.nats_url).await?;
    let mut file = BufWriter::new(File::create(folder.join("streams.jsonl"))?);
    for message in messages {
        let line = json!({"stream": message.stream, "seq": message.seq, "lane": message.lane,
                          "subject": message.subject, "payload": String::from_utf8_lossy(&message.payload)});
        writeln!(file, "{line}")?;
    }
    file.flush()?;
    dumped
}

fn copy_logs(from: &Path, to: &Path) -> Result<()> {
    for folder in [from.to_owned(), from.join("postgres"), from.join("nats")] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().contains(".log") {
                fs::copy(entry.path(), to.join(name))?;
            }
        }
    }
    Ok(())
}

async fn dump(system: &System, folder: &Path) -> Result<()> {
    let program = find_postgres(None)?.bin.join("pg_dump");
    let status = tokio::process::Command::new(program)
        .arg("--file")
        .arg(folder.join("database.sql"))
        .arg(&system.database_url)
        .status()
        .await
        .context("cannot run pg_dump")?;
    ensure!(status.success(), "pg_dump failed: {status}");
    Ok(())
}
