//! Replays and discards dead letters.

use super::{DiscardArgs, ReplayArgs};
use crate::cli::audit::{operator, record_dead_letters};
use crate::cli::connect;
use crate::cli::terminal::{confirm, progress_bar, table};
use anyhow::ensure;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;
use tiris_store::audit::ActionName;
use tiris_store::dead_letters::{
    self, Actor, Filter, Replay, ReplayOptions, Summary, count_open, discard_all, rehearse,
    rehearse_all, replay_all,
};
use tiris_store::error::Error;
use tiris_store::race::retried;
use uuid::Uuid;

/// Maximum number of dead letters in a dry run of a selection.
const REHEARSED_MAX: u32 = 200;
/// Dead letters discarded in one transaction.
const DISCARDED_AT_ONCE: u32 = 500;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

pub(super) async fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let options = ReplayOptions {
        accept_user: args.accept_user,
        by: Actor::Operator(operator()),
        recorded_as: None,
    };

    let selection = args.target.selection()?;
    ensure!(
        options.accept_user.is_none() || args.target.ids.len() == 1,
        "--accept-user is for a single dead letter"
    );
    let pool = &connect::database(&args.database).await?;
    match selection {
        Some(filter) if args.dry_run => {
            let (summary, _) = rehearse_all(pool, &filter, &options, None, REHEARSED_MAX).await?;
            print_effects(&summary.effects)?;
            let tried = summary.tried;
            let applied = summary.applied;
            let open = summary.left;
            say!("{applied} of the first {tried} dead letters would be applied; {open} are open");
            say_skipped(summary.skipped)
        }
        Some(filter) => replay_selected(pool, filter, &options, args.yes).await,
        None if args.dry_run => rehearse_named(pool, &args.target.ids, &options).await,
        None => replay_named(pool, &args.target.ids, &options).await,
    }
}

async fn rehearse_named(
    pool: &PgPool,
    ids: &[Uuid],
    options: &ReplayOptions,
) -> anyhow::Result<()> {
    let mut effects = Vec::with_capacity(ids.len());
    for (effect, id) in rehearse(pool, ids, options).await?.into_iter().zip(ids) {
        effects.push(effect.map_err(|error| unchanged(error, *id))?);
    }

    print_effects(&effects)?;
    check_refused(&effects)?;
    say!("nothing was changed");
    Ok(())
}

/// Replays each dead letter in a transaction of its own.
async fn replay_named(pool: &PgPool, ids: &[Uuid], options: &ReplayOptions) -> anyhow::Result<()> {
    let mut effects = Vec::with_capacity(ids.len());
    for id in ids {
        let replayed = retried(async || {
            let mut transaction = pool.begin().await?;
            // First, because the replay ends with the check of its timestamp.
            let after = json!({"accept_user": options.accept_user});
            record_dead_letters(
                &mut transaction,
                ActionName::DeadLetterReplay,
                Some(*id),
                after,
            )
            .await?;
            let effect =
                dead_letters::replay(&mut transaction, *id, options, rand::random()).await?;
            transaction.commit().await?;
            Ok(effect)
        });
        let effect = replayed.await.map_err(|error| unchanged(error, *id))?;

        print_effects(std::slice::from_ref(&effect))?;
        effects.push(effect);
    }

    check_refused(&effects)?;
    say!("done");
    Ok(())
}

fn check_refused(effects: &[Replay]) -> anyhow::Result<()> {
    let refused = effects.iter().filter(|effect| effect.refused.is_some());
    let refused = refused.count();
    ensure!(
        refused == 0,
        "{refused} of {} dead letters are refused and stay open",
        effects.len()
    );
    Ok(())
}

async fn replay_selected(
    pool: &PgPool,
    filter: Filter,
    options: &ReplayOptions,
    yes: bool,
) -> anyhow::Result<()> {
    let Some((open, filter)) = confirm_selection(pool, filter, "Replay", yes).await? else {
        return Ok(());
    };

    // Before the replay, because each dead letter has its own transaction, and some may be applied when another fails.
    let after = json!({"filter": filter});
    let mut connection = pool.acquire().await?;
    record_dead_letters(&mut connection, ActionName::DeadLettersReplay, None, after).await?;
    drop(connection);

    let bar = progress_bar(open, "dead letters replayed");
    let summary = replay_all(pool, &filter, options, |so_far: &Summary| {
        bar.set_length(bar.length().unwrap_or(0).max(so_far.tried));
        bar.set_position(so_far.tried);
    })
    .await?;
    bar.finish_and_clear();
    let Summary { applied, left, .. } = summary;
    say!("{applied} dead letters were applied, {left} stay open");
    say_skipped(summary.skipped)
}

fn say_skipped(skipped: u64) -> anyhow::Result<()> {
    if skipped > 0 {
        say!(
            "{skipped} were skipped, because their payload names another user than their subject: replay each with --accept-user"
        );
    }
    Ok(())
}

pub(super) async fn discard(args: &DiscardArgs) -> anyhow::Result<()> {
    let length = args.reason.chars().count();
    ensure!(
        (1..=REASON_CHARS_MAX).contains(&length) && !args.reason.contains('\0'),
        "--reason must have 1 to {REASON_CHARS_MAX} characters and no U+0000 (given: {length} characters)"
    );
    let by = Actor::Operator(operator());
    let selection = args.target.selection()?;
    let pool = &connect::database(&args.database).await?;
    let Some(filter) = selection else {
        return discard_named(pool, args, &by).await;
    };
    let confirmed = confirm_selection(pool, filter, "Permanently discard", args.yes).await?;
    let Some((open, filter)) = confirmed else {
        return Ok(());
    };

    let bar = progress_bar(open, "dead letters discarded");
    let reason = &args.reason;
    loop {
        let mut transaction = pool.begin().await?;
        let done = discard_all(&mut transaction, &filter, reason, &by, DISCARDED_AT_ONCE).await?;
        if done == 0 {
            break;
        }
        let after = json!({"filter": filter, "reason": reason, "discarded": done});
        record_dead_letters(
            &mut transaction,
            ActionName::DeadLettersDiscard,
            None,
            after,
        )
        .await?;
        transaction.commit().await?;
        bar.inc(done);
    }
    bar.finish_and_clear();
    say!("{} dead letters were discarded", bar.position());

    Ok(())
}

async fn discard_named(pool: &PgPool, args: &DiscardArgs, by: &Actor) -> anyhow::Result<()> {
    let ids = &args.target.ids;
    let count = ids.len();
    if !confirm(
        &format!("Permanently discard {count} dead letter(s)"),
        args.yes,
    )? {
        return Ok(());
    }

    let mut transaction = pool.begin().await?;
    for id in ids {
        let discarded = dead_letters::discard(&mut transaction, *id, &args.reason, by).await;
        discarded.map_err(|error| unchanged(error, *id))?;
        let after = json!({"reason": args.reason});
        record_dead_letters(
            &mut transaction,
            ActionName::DeadLetterDiscard,
            Some(*id),
            after,
        )
        .await?;
    }
    transaction.commit().await?;
    say!("{count} dead letters were discarded");

    Ok(())
}

/// Counts the selected dead letters and confirms to `act` on them. Returns the count and a filter that excludes later ones, so
/// that exactly the confirmed ones change; None when there are none, or when it is not confirmed.
async fn confirm_selection(
    pool: &PgPool,
    filter: Filter,
    act: &str,
    yes: bool,
) -> anyhow::Result<Option<(u64, Filter)>> {
    let mut connection = pool.acquire().await?;
    let now: DateTime<Utc> = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&mut *connection)
        .await?;
    let until = filter.until.map_or(now, |until| until.min(now));
    let filter = Filter {
        until: Some(until),
        ..filter
    };
    let open = count_open(&mut connection, &filter).await?;
    drop(connection);

    if open == 0 {
        say!("no open dead letter is selected");
        return Ok(None);
    }
    let confirmed = confirm(&format!("{act} {open} dead letter(s)"), yes)?;
    Ok(confirmed.then_some((open, filter)))
}

fn unchanged(error: Error, id: Uuid) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("dead letter {id} was not changed"))
}

fn print_effects(effects: &[Replay]) -> anyhow::Result<()> {
    for effect in effects {
        let id = effect.id;
        match &effect.refused {
            Some(cause) => say!("dead letter {id}: refused, {}: {cause}", cause.code()),
            None if effect.was_applied => say!("dead letter {id}: its event was applied before"),
            None => say!("dead letter {id}: {} postings", effect.postings.len()),
        }
        if let (Some(user), Some(publisher)) = (effect.user, effect.publisher)
            && user != publisher
        {
            say!("published by user {publisher}, changes the books of user {user}");
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
