//! Lists and shows letters.

use super::{ListArgs, ShowArgs};
use crate::cli::table::{table, time};
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};
use sqlx::PgPool;
use tiris_domain::states::DeadLetterStatus;
use tiris_store::dead_letters::{self, Letter};
use uuid::Uuid;

pub(super) async fn list(pool: &PgPool, args: &ListArgs) -> anyhow::Result<()> {
    // `all` is the name of no status.
    let filter = args
        .filter
        .filter(args.status.parse::<DeadLetterStatus>().ok());
    let mut connection = pool.acquire().await.context("cannot reach the database")?;
    let letters = dead_letters::list(&mut connection, &filter, args.limit).await?;
    if args.json {
        for letter in &letters {
            say!("{}", as_json(letter));
        }
        return Ok(());
    }
    if letters.is_empty() {
        say!("no letters");
        return Ok(());
    }

    let header = "id|put aside|lane|seq|class|code|event|user|tries|next try|status";
    let mut table = table(header, 0..0);
    for letter in &letters {
        table.add_row([
            letter.id.to_string(),
            time(letter.created_at),
            letter.key.to_string(),
            letter.stream_seq.to_string(),
            letter.class.to_string(),
            letter.code.clone(),
            letter.event_id.clone().unwrap_or_default(),
            text(letter.user_id),
            letter.attempts.to_string(),
            next_try(letter),
            letter.status.to_string(),
        ]);
    }
    say!("{table}");
    if letters.len() >= usize::try_from(args.limit).unwrap_or(usize::MAX) {
        say!("there may be more: --limit shows them, --from and --until narrow the list");
    }
    Ok(())
}

pub(super) async fn one(pool: &PgPool, args: &ShowArgs) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await.context("cannot reach the database")?;
    let letter = dead_letters::get(&mut connection, args.id).await?;

    if args.json {
        say!("{}", as_json(&letter));
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic);
    for (name, value) in [
        ("id", letter.id.to_string()),
        ("status", letter.status.to_string()),
        ("class", letter.class.to_string()),
        ("code", letter.code.clone()),
        ("reason", letter.reason.clone()),
        ("tries", letter.attempts.to_string()),
        ("next try", next_try(&letter)),
        (
            "others wait behind it",
            if letter.blocks { "yes" } else { "no" }.to_owned(),
        ),
        ("event id", letter.event_id.clone().unwrap_or_default()),
        ("user", text(letter.user_id)),
        ("trading", text(letter.trading_id)),
        (
            "lane, sequence",
            format!("{}, {}", letter.key, letter.stream_seq),
        ),
        ("subject", letter.subject.clone()),
        ("taken by the broker", time(letter.broker_time)),
        ("put aside", time(letter.created_at)),
        ("published", time(letter.published_at)),
        ("headers", letter.headers.to_string()),
        ("info", letter.info.to_string()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    say!("{table}");
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => {
            let pretty = serde_json::from_str::<Value>(text)
                .and_then(|value| serde_json::to_string_pretty(&value));
            say!(
                "{}",
                pretty.unwrap_or_else(|_| text.escape_debug().to_string())
            );
        }
        Err(_) => say!(
            "{} bytes that are no text, in base64: {}",
            letter.payload.len(),
            STANDARD.encode(&letter.payload)
        ),
    }

    Ok(())
}

fn next_try(letter: &Letter) -> String {
    match letter.next_attempt_at {
        Some(next) => time(next),
        None if letter.code == "USER_DISABLED" && letter.blocks => "when enabled".to_owned(),
        None if letter.blocks => "behind another".to_owned(),
        None => "-".to_owned(),
    }
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn as_json(letter: &Letter) -> Value {
    let mut object = json!({
        "id": letter.id, "status": letter.status, "class": letter.class, "code": letter.code, "reason": letter.reason,
        "attempts": letter.attempts, "next_attempt_at": letter.next_attempt_at, "blocks": letter.blocks,
        "event_id": letter.event_id, "user_id": letter.user_id, "trading_id": letter.trading_id,
        "stream": letter.key.stream, "lane": letter.key.lane, "stream_seq": letter.stream_seq, "subject": letter.subject,
        "broker_time": letter.broker_time, "created_at": letter.created_at, "published_at": letter.published_at,
        "headers": letter.headers, "info": letter.info,
    });
    match std::str::from_utf8(&letter.payload) {
        Ok(text) => object["payload"] = text.into(),
        Err(_) => object["payload_base64"] = STANDARD.encode(&letter.payload).into(),
    }
    object
}
