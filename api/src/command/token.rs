//! Makes an access token for local use, together with the user and the session it needs.

use crate::auth::keys::Keys;
use crate::auth::token;
use crate::cli::TokenArgs;
use anyhow::{Context, bail, ensure};
use chrono::{Duration, Utc};
use sqlx::PgConnection;
use tiris_shared::config::{Environment, Problems};
use tiris_shared::ids::{UserId, new_id};
use tiris_shared::{database, telemetry};
use uuid::Uuid;

/// Days a session lives.
const SESSION_DAYS: i64 = 30;
/// Longest username, in characters.
const USERNAME_LENGTH_MAX: usize = 64;
/// Longest e-mail address, in characters, by RFC 5321.
const EMAIL_LENGTH_MAX: usize = 254;

/// Prints the token, and nothing else, on standard output.
pub async fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let files = args.keys.check(service.as_ref().map(|service| service.environment), &mut problems);
    let settings = args.database.check(&mut problems).zip(service).zip(files);
    let ((database, service), files) = problems.finish(settings)?;
    telemetry::init("tiris-api", &service.log);
    if service.environment == Environment::Production {
        bail!("tokens are made by signing in; this command is for TIRIS_ENV=dev only");
    }
    check_email(&args.email)?;
    let keys = Keys::load(&files, service.environment)?;
    let pool = database::pool(&database, "tiris-api token").context("cannot use DATABASE_URL")?;
    let mut transaction = pool.begin().await.context("cannot reach the database")?;
    let user = user(&mut transaction, &args.email, args.admin).await?;
    let session = session(&mut transaction, user).await?;
    transaction.commit().await.context("cannot store the session")?;
    let lifetime = Duration::hours(i64::from(args.ttl_hours));
    let token = token::issue(&keys, user, session, Utc::now(), lifetime)?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({"token": token, "user_id": user, "expires_in": lifetime.num_seconds()})
        );
    } else {
        println!("{token}");
    }
    Ok(())
}

fn check_email(email: &str) -> anyhow::Result<()> {
    let parts = email.split_once('@');
    let valid =
        parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    let printable = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    ensure!(valid && printable && email.len() <= EMAIL_LENGTH_MAX, "{email:?} is no e-mail address");
    Ok(())
}

/// The living user with this address, made when there is none.
async fn user(connection: &mut PgConnection, email: &str, admin: bool) -> anyhow::Result<UserId> {
    let role = if admin { "admin" } else { "user" };
    let found: Option<(UserId, String)> = sqlx::query_as(
        "UPDATE users SET role = CASE WHEN $2 = 'admin' THEN 'admin' ELSE role END, updated_at = now() \
         WHERE lower(email) = lower($1) AND status <> 'deleted' RETURNING id, status",
    )
    .bind(email)
    .bind(role)
    .fetch_optional(&mut *connection)
    .await
    .context("cannot look for the user (is the database migrated? run tiris-migrate up)")?;
    if let Some((id, status)) = found {
        ensure!(status == "active", "the user {email} is {status}");
        return Ok(id);
    }
    let wanted: String = email.split('@').next().unwrap_or(email).chars().take(USERNAME_LENGTH_MAX).collect();
    let id = UserId(new_id());
    // Somebody else may have the name: then part of the id tells them apart.
    for username in [wanted.clone(), format!("{wanted}-{}", &id.0.simple().to_string()[24..])] {
        let inserted = sqlx::query(
            "INSERT INTO users (id, username, full_name, email, email_verified_at, role) \
             VALUES ($1, $2, $2, $3, now(), $4) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(username)
        .bind(email)
        .bind(role)
        .execute(&mut *connection)
        .await
        .context("cannot make the user")?;
        if inserted.rows_affected() == 1 {
            return Ok(id);
        }
    }
    bail!("cannot make the user {email}: its name or address was taken meanwhile, try again")
}

async fn session(connection: &mut PgConnection, user: UserId) -> anyhow::Result<Uuid> {
    let id = new_id();
    sqlx::query(
        "INSERT INTO sessions (id, user_id, user_agent, expires_at) VALUES ($1, $2, 'tiris-api token', $3)",
    )
    .bind(id)
    .bind(user)
    .bind(Utc::now() + Duration::days(SESSION_DAYS))
    .execute(connection)
    .await
    .context("cannot make the session")?;
    Ok(id)
}
