//! Re-encrypts credentials under the current key while the service runs, and verifies that all of them can be decrypted.

mod in_clear;
mod rotation;

use super::tool::ToolArgs;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rotation::{NAMED_MAX, check, count_outdated, rotate};
use sqlx::PgPool;
use tiris_runtime::config::Problems;
use tiris_runtime::crypto::{EncryptionArgs, KeyRing};

/// Maximum number of passes of a run. Each one finds only the rows that were written under an older key during the
/// previous one.
const PASSES_MAX: u32 = 5;

/// The commands of `tiris-api secrets`.
#[derive(Subcommand, Debug)]
pub enum SecretsAction {
    /// Re-encrypt everything that is not under the first key of TIRIS_ENCRYPTION_KEYS
    ///
    /// First encrypts credentials that earlier versions stored in the free JSON of exchange bindings.
    /// Works while the service runs, can be interrupted and repeated at any time, and prints how many rows are left. Then
    /// it decrypts every row and prints how many cannot be read. Fails when rows are left or unreadable. Before: give the
    /// new key to all processes, then make it the first key of all. After: remove the old key everywhere.
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

/// Re-encrypts and then decrypts every row; fails when rows are left under other keys or cannot be read.
pub async fn run(args: &RotateArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let tool = args.tool.check(&mut problems);
    let environment = args.tool.environment();
    let encryption = args.encryption.check(environment, &mut problems);
    let (tool, encryption) = problems.finish(tool.zip(encryption))?;
    let pool = tool.start("tiris-api secrets")?;
    let ring = encryption.load(tool.environment())?.ring;

    let in_clear = seal_all(&pool, &ring).await?;
    let left = rotate_all(&pool, &ring).await?;

    let bar = ProgressBar::new_spinner();
    let check = check(&pool, &ring, |rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    for row in &check.named {
        eprintln!("{row}");
    }

    let readable = check.readable;
    let unreadable = check.unreadable;
    println!("readable rows: {readable}, unreadable rows: {unreadable}");
    ensure!(
        left == 0 && unreadable == 0 && in_clear == 0,
        "{left} rows are not under the current key, {unreadable} rows cannot be read, {in_clear} bindings hold credentials in \
         info"
    );
    Ok(())
}

/// Returns the number of bindings that still hold credentials in `info`.
async fn seal_all(pool: &PgPool, ring: &KeyRing) -> anyhow::Result<usize> {
    let cannot = "cannot read the credentials (is the database migrated? run tiris-migrate up)";
    let outcome = in_clear::seal(pool, ring).await.context(cannot)?;

    for id in outcome.left.iter().take(NAMED_MAX) {
        eprintln!(
            "exchange_bindings {id}: credentials in info, but none that are encrypted: its owner must set them again"
        );
    }
    let sealed = outcome.sealed;
    println!("bindings whose credentials were moved out of info and encrypted: {sealed}");
    Ok(outcome.left.len())
}

/// Returns the number of rows that are left under other keys.
async fn rotate_all(pool: &PgPool, ring: &KeyRing) -> anyhow::Result<u64> {
    let cannot = "cannot read the credentials (is the database migrated? run tiris-migrate up)";
    let mut left = count_outdated(pool, ring).await.context(cannot)?;
    let bar = progress(left)?;
    let mut rotated = 0;

    for _ in 0..PASSES_MAX {
        if left == 0 {
            break;
        }

        let pass = rotate(pool, ring, |rows| bar.inc(rows)).await?;
        rotated += pass.rotated;
        left = count_outdated(pool, ring).await?;
        // The next pass could not read the remaining rows either.
        if pass.rotated + pass.overtaken == 0 {
            break;
        }
        bar.set_length(bar.position() + left);
    }

    bar.finish_and_clear();
    println!(
        "rows re-encrypted under the key {:?}: {rotated}, left under other keys: {left}",
        ring.current_id()
    );
    Ok(left)
}

fn progress(rows: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left")?;
    Ok(ProgressBar::new(rows).with_style(style))
}
