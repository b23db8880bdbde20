//! Lists and shows dead letters.

use super::{ListArgs, ShowArgs};
use crate::cli::connect;
use crate::cli::terminal::{plain_table, table, time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tiris_domain::states::DeadLetterStatus;
use tiris_store::dead_letters::{self, Letter};
use uuid::Uuid;

pub(super) async fn list(args: &ListArgs) -> anyhow::Result<()> {
    // `all` is not a status, and selects every one.
    let status: Option<DeadLetterStatus> = args.status.parse().ok();
    let filter = args.filter.filter(status);
    let pool = connect::database(&args.database).await?;
    let mut connection = pool.acquire().await?;
    let letters = dead_letters::list(&mut connection, &filter, args.limit).await?;
    if args.json {
        for letter in &letters {
            say!("{}", as_json(letter));
        }
        return Ok(());
    }
    if letters.is_empty() {
        say!("no dead letters");
        return Ok(());
    }

    let header = "id|created|lane|sequence|class|code|event|user|retries|next retry|status";
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
            next_retry(letter),
            letter.status.to_string(),
        ]);
    }
    say!("{table}");
    if letters.len() >= usize::try_from(args.limit).unwrap_or(usize::MAX) {
        say!(
            "there may be more dead letters: raise --limit, or narrow the list with --from and --until"
        );
    }
    Ok(())
}

pub(super) async fn one(args: &ShowArgs) -> anyhow::Result<()> {
    let pool = connect::database(&args.database).await?;
    let mut connection = pool.acquire().await?;
    let letter = dead_letters::get(&mut connection, args.id).await?;

    if args.json {
        say!("{}", as_json(&letter));
        return Ok(());
    }
    let blocks = if letter.blocks { "yes" } else { "no" };
    let mut table = plain_table();
    for (name, value) in [
        ("id", letter.id.to_string()),
        ("status", letter.status.to_string()),
        ("class", letter.class.to_string()),
        ("code", letter.code.clone()),
        ("reason", letter.reason.clone()),
        ("retries", letter.attempts.to_string()),
        ("next retry", next_retry(&letter)),
        ("blocks later events", blocks.to_owned()),
        ("event id", letter.event_id.clone().unwrap_or_default()),
        ("user", text(letter.user_id)),
        ("trading", text(letter.trading_id)),
        ("lane", letter.key.to_string()),
        ("sequence", letter.stream_seq.to_string()),
        ("subject", letter.subject.clone()),
        ("stored by the broker", time(letter.broker_time)),
        ("created", time(letter.created_at)),
        ("published", time(letter.published_at)),
        ("headers", letter.headers.to_string()),
        ("info", letter.info.to_string()),
    ] {
        table.add_row([name.to_owned(), value]);
    }
    say!("{table}");
    print_payload(&letter.payload)
}

fn print_payload(payload: &[u8]) -> anyhow::Result<()> {
    let Ok(text) = std::str::from_utf8(payload) else {
        let length = payload.len();
        let encoded = STANDARD.encode(payload);
        say!("binary payload of {length} bytes, in base64: {encoded}");
        return Ok(());
    };

    let parsed: Result<Value, _> = serde_json::from_str(text);
    match parsed {
        Ok(json) => say!("{json:#}"),
        Err(_) => say!("{}", text.escape_debug()),
    }
    Ok(())
}

fn next_retry(letter: &Letter) -> String {
    match letter.next_attempt_at {
        Some(next) => time(next),
        None if letter.code == "USER_DISABLED" && letter.blocks => {
            "when the user is enabled".to_owned()
        }
        None if letter.blocks => "behind another dead letter".to_owned(),
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
