//! Re-encrypts what is not under the current key, while the service runs, and tries whether everything can be read.

mod rotation;

use super::tool::ToolArgs;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rotation::{check, count_outdated, rotate};
use sqlx::PgPool;
use tiris_runtime::config::Problems;
use tiris_runtime::crypto::{EncryptionArgs, KeyRing};

/// Rows read at once.
const BATCH: u16 = 100;
/// Passes after which the rest is left to another run: each one finds only what was written under an older key during
/// the one before.
const PASSES_MAX: u32 = 5;
/// Rows that cannot be read and are named one by one.
const NAMED_MAX: usize = 20;

/// What can be done to encrypted credentials.
#[derive(Subcommand, Debug)]
pub enum SecretsAction {
    /// Re-encrypt everything that is not under the first key of TIRIS_ENCRYPTION_KEYS
    ///
    /// Works while the service runs, can be ended at any moment and started again, and prints how many rows are left;
    /// then it decrypts every row and prints how many cannot be read. It fails when any are left or unreadable. Before it: let all processes know the new key, then let all of them encrypt with it.
    /// After it: drop the old key everywhere.
    Rotate(Box<RotateArgs>),
}

/// Settings of `tiris-api secrets rotate`.
#[derive(Args, Debug)]
pub struct RotateArgs {
    #[command(flatten)]
    encryption: EncryptionArgs,
    #[command(flatten)]
    tool: ToolArgs,
}

/// Prints how many were re-encrypted and how many are left, then reads every row; fails when any are left, or cannot be
/// read.
pub async fn run(args: &RotateArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let tool = args.tool.check(&mut problems);
    let environment = args.tool.environment();
    let encryption = args.encryption.check(environment, &mut problems);
    let (tool, encryption) = problems.finish(tool.zip(encryption))?;
    let pool = tool.start("tiris-api secrets")?;
    let ring = encryption.load(tool.environment())?.ring;

    let left = rotate_all(&pool, &ring).await?;

    let bar = ProgressBar::new_spinner();
    let check = check(&pool, &ring, BATCH, NAMED_MAX, |rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    for row in &check.named {
        eprintln!("{row}");
    }

    let readable = check.readable;
    let unreadable = check.unreadable;
    println!("rows that can be read: {readable}, that cannot be read: {unreadable}");
    ensure!(
        left == 0 && unreadable == 0,
        "{left} rows are not under the current key, {unreadable} rows cannot be read"
    );
    Ok(())
}

/// Answers how many rows are left under other keys.
async fn rotate_all(pool: &PgPool, ring: &KeyRing) -> anyhow::Result<u64> {
    let cannot = "cannot read the credentials (is the database migrated? run tiris-migrate up)";
    let mut left = count_outdated(pool, ring, BATCH).await.context(cannot)?;
    let bar = progress(left)?;
    let mut rotated = 0;

    for _ in 0..PASSES_MAX {
        if left == 0 {
            break;
        }

        let pass = rotate(pool, ring, BATCH, |rows| bar.inc(rows)).await?;
        rotated += pass.rotated;
        left = count_outdated(pool, ring, BATCH).await?;
        // What cannot be read now cannot be read in the next pass either.
        if pass.rotated + pass.overtaken == 0 {
            break;
        }
        bar.set_length(bar.position() + left);
    }

    bar.finish_and_clear();
    println!(
        "rows re-encrypted under the key {:?}: {rotated}, left under others: {left}",
        ring.current_id()
    );
    Ok(left)
}

fn progress(rows: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(rows).with_style(style))
}
