//! Re-encrypts what is not under the current key, while the service runs, and tries whether everything can be read.

mod rotation;

use crate::cli::RotateArgs;
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use rotation::{check, count_outdated, rotate};
use sqlx::PgPool;
use tiris_runtime::config::Problems;
use tiris_runtime::crypto::KeyRing;
use tiris_runtime::{database, telemetry};

/// Rows read at once.
const BATCH: u16 = 100;
/// Passes after which the rest is left to another run: each one finds only what was written under an older key during
/// the one before.
const PASSES_MAX: u32 = 5;
/// Rows that cannot be read and are named one by one.
const NAMED_MAX: usize = 20;

/// Prints how many were re-encrypted and how many are left, then reads every row; fails when any are left, or cannot be
/// read.
pub async fn run(args: &RotateArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let environment = args.service.environment();
    let encryption = args.encryption.check(environment, &mut problems);
    let settings = args
        .database
        .check(environment, &mut problems)
        .zip(service)
        .zip(encryption);
    let ((database, service), encryption) = problems.finish(settings)?;
    telemetry::init("tiris-api", &service.log);
    let ring = encryption.load(service.environment)?.ring;
    let pool = database::pool(&database, "tiris-api secrets").context("cannot use DATABASE_URL")?;
    let left = rotate_all(&pool, &ring).await?;
    let bar = ProgressBar::new_spinner();
    let check = check(&pool, &ring, BATCH, NAMED_MAX, |rows| bar.inc(rows)).await?;
    bar.finish_and_clear();
    for row in &check.named {
        eprintln!("{} {}: {}", row.table, row.id, row.why);
    }
    println!(
        "rows that can be read: {}, that cannot be read: {}",
        check.readable, check.unreadable
    );
    ensure!(
        left == 0 && check.unreadable == 0,
        "{left} rows are not under the current key, {} rows cannot be read",
        check.unreadable
    );
    Ok(())
}

/// Answers how many rows are left under other keys.
async fn rotate_all(pool: &PgPool, ring: &KeyRing) -> anyhow::Result<u64> {
    let cannot = "cannot read the credentials (is the database migrated? run tiris-migrate up)";
    let mut left = count_outdated(pool, ring).await.context(cannot)?;
    let bar = progress(left)?;
    let mut rotated = 0;
    for _ in 0..PASSES_MAX {
        if left == 0 {
            break;
        }
        let pass = rotate(pool, ring, BATCH, |rows| bar.inc(rows)).await?;
        rotated += pass.rotated;
        left = count_outdated(pool, ring).await?;
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
