//! Replays and discards letters.

use super::{DiscardArgs, ReplayArgs};
use crate::cli::audit::{operator, record, to_letters};
use crate::cli::confirm::confirm;
use crate::cli::table::table;
use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sqlx::{Connection as _, PgPool};
use tiris_store::dead_letters::{
    self, Actor, Filter, Replay, ReplayOptions, Summary, count_open, discard_all, rehearse_all,
    replay_all,
};
use tiris_store::error::Error;
use uuid::Uuid;

/// Letters a dry run of many looks at.
const REHEARSED_MAX: u32 = 200;
/// Letters discarded in one transaction.
const DISCARDED_AT_ONCE: u32 = 500;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

pub(super) async fn replay(pool: &PgPool, args: &ReplayArgs) -> anyhow::Result<()> {
    let options = ReplayOptions {
        round: args.round,
        dry_run: args.dry_run,
        by: Actor::Operator(operator()),
    };

    match args.target.selection()? {
        Some(filter) if args.dry_run => {
            let (summary, _) = rehearse_all(pool, &filter, &options, None, REHEARSED_MAX).await?;
            print_effects(&summary.effects)?;
            say!(
                "{} of the first {} letters would apply; {} are open",
                summary.applied,
                summary.tried,
                summary.left
            );
            Ok(())
        }
        Some(filter) => replay_selected(pool, &filter, &options, args.yes).await,
        None => replay_named(pool, &args.target.ids, &options).await,
    }
}

async fn replay_named(pool: &PgPool, ids: &[Uuid], options: &ReplayOptions) -> anyhow::Result<()> {
    let mut refused = 0;
    let mut connection = pool.acquire().await.context("cannot reach the database")?;

    if options.dry_run {
        // One after the other in one transaction, so that each sees what those before it would do.
        let mut transaction = connection.begin().await?;
        for id in ids {
            let effect = dead_letters::replay(&mut transaction, *id, options, rand::random()).await;
            let effect = effect.map_err(|error| explain(error, *id))?;
            refused += usize::from(effect.refused.is_some());
            print_effects(&[effect])?;
        }
        transaction.rollback().await?;
    } else {
        for id in ids {
            let mut transaction = connection.begin().await?;
            // The row first: the replay ends with the check of its time.
            let action = to_letters(
                "dead_letter.replay",
                Some(*id),
                json!({"round": options.round}),
            );
            record(&mut transaction, &action).await?;
            let effect = dead_letters::replay(&mut transaction, *id, options, rand::random()).await;
            let effect = effect.map_err(|error| explain(error, *id))?;
            transaction.commit().await?;
            refused += usize::from(effect.refused.is_some());
            print_effects(&[effect])?;
        }
    }
    ensure!(
        refused == 0,
        "{refused} of {} letters are refused and stay open",
        ids.len()
    );
    say!(
        "{}",
        if options.dry_run {
            "nothing was changed"
        } else {
            "done"
        }
    );

    Ok(())
}

async fn replay_selected(
    pool: &PgPool,
    filter: &Filter,
    options: &ReplayOptions,
    yes: bool,
) -> anyhow::Result<()> {
    let (open, filter) = &count(pool, filter.clone()).await?;
    if *open == 0 {
        say!("no open letter is selected");
        return Ok(());
    }

    if !confirm(&format!("replay {open} letters"), yes)? {
        return Ok(());
    }
    // Before it, because each letter is a transaction of its own and some of them may be done when the rest fails.
    let after = json!({"filter": filter, "round": options.round});
    record(
        &mut *pool.acquire().await?,
        &to_letters("dead_letters.replay", None, after),
    )
    .await?;
    let bar = bar(*open, "letters tried");
    let summary = replay_all(pool, filter, options, |so_far: &Summary| {
        bar.set_length(bar.length().unwrap_or(0).max(so_far.tried));
        bar.set_position(so_far.tried);
    })
    .await?;
    bar.finish_and_clear();
    say!(
        "{} letters are in the books now, {} stay open",
        summary.applied,
        summary.left
    );

    Ok(())
}

pub(super) async fn discard(pool: &PgPool, args: &DiscardArgs) -> anyhow::Result<()> {
    let length = args.reason.chars().count();
    ensure!(
        (1..=REASON_CHARS_MAX).contains(&length) && !args.reason.contains('\0'),
        "--reason must have 1 to {REASON_CHARS_MAX} characters (given: {length})"
    );
    let Some(filter) = args.target.selection()? else {
        return discard_named(pool, args).await;
    };
    let (open, filter) = count(pool, filter).await?;

    if open == 0 {
        say!("no open letter is selected");
        return Ok(());
    }
    if !confirm(&format!("give {open} letters up for good"), args.yes)? {
        return Ok(());
    }
    let bar = bar(open, "letters discarded");
    loop {
        let mut transaction = pool.begin().await?;
        let by = Actor::Operator(operator());
        let done = discard_all(
            &mut transaction,
            &filter,
            &args.reason,
            &by,
            DISCARDED_AT_ONCE,
        )
        .await?;
        if done > 0 {
            let after = json!({"filter": filter, "reason": args.reason, "discarded": done});
            record(
                &mut transaction,
                &to_letters("dead_letters.discard", None, after),
            )
            .await?;
        }
        transaction.commit().await?;
        bar.inc(done);
        if done == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    say!("{} letters are discarded", bar.position());

    Ok(())
}

async fn discard_named(pool: &PgPool, args: &DiscardArgs) -> anyhow::Result<()> {
    let ids = &args.target.ids;
    if !confirm(
        &format!("give {} letter(s) up for good", ids.len()),
        args.yes,
    )? {
        return Ok(());
    }
    let mut transaction = pool.begin().await.context("cannot reach the database")?;

    for id in ids {
        let by = Actor::Operator(operator());
        let discarded = dead_letters::discard(&mut transaction, *id, &args.reason, &by).await;
        discarded.map_err(|error| explain(error, *id))?;
        let after = json!({"reason": args.reason});
        record(
            &mut transaction,
            &to_letters("dead_letter.discard", Some(*id), after),
        )
        .await?;
    }
    transaction.commit().await?;
    say!("{} letters are discarded", ids.len());

    Ok(())
}

/// How many letters are selected now, and the filter that selects these and none that come later: what is asked about
/// is what is done.
async fn count(pool: &PgPool, filter: Filter) -> anyhow::Result<(u64, Filter)> {
    let mut connection = pool.acquire().await.context("cannot reach the database")?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    let until = filter.until.map_or(now, |until| until.min(now));
    let filter = Filter {
        until: Some(until),
        ..filter
    };
    Ok((count_open(&mut connection, &filter).await?, filter))
}

fn explain(error: Error, id: Uuid) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("letter {id} stays as it is"))
}

fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) =
        ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {msg} · {elapsed}")
    {
        bar.set_style(style);
    }
    bar.with_message(what.to_owned())
}

fn print_effects(effects: &[Replay]) -> anyhow::Result<()> {
    for effect in effects {
        match &effect.refused {
            Some(cause) => say!("letter {}: refused, {}: {}", effect.id, cause.code(), cause),
            None if effect.was_applied => say!("letter {}: is in the books already", effect.id),
            None => say!("letter {}: {} postings", effect.id, effect.postings.len()),
        }
        if effect.accounts.is_empty() {
            continue;
        }
        let header = "sub-account|symbol|balance before|after|locked before|after";
        let mut table = table(header, 2..6);
        for change in &effect.accounts {
            table.add_row([
                change.account.to_string(),
                change.symbol.clone(),
                change.balance.0.to_string(),
                change.balance.1.to_string(),
                change.locked.0.to_string(),
                change.locked.1.to_string(),
            ]);
        }
        say!("{table}");
    }

    Ok(())
}
