//! Makes an access token for local use, together with the user and the session it needs.

use crate::auth::keys::Keys;
use crate::auth::token;
use crate::cli::TokenArgs;
use anyhow::{Context, bail, ensure};
use chrono::{Duration, Utc};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::{Role, UserStatus};
use tiris_runtime::config::{Environment, Problems};
use tiris_runtime::{database, telemetry};
use tiris_store::sessions;
use tiris_store::users::{self, LockedUser, NewUser};

/// Longest e-mail address, in characters, by RFC 5321.
const EMAIL_LENGTH_MAX: usize = 254;

/// Prints the token, and nothing else, on standard output.
pub async fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let service = args.service.check("127.0.0.1:0", &mut problems);
    let environment = args.service.environment();
    let files = args.keys.check(environment, &mut problems);
    let settings = args
        .database
        .check(environment, &mut problems)
        .zip(service)
        .zip(files);
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
    let session = sessions::begin(&mut transaction, user, None, Some("tiris-api token")).await?;
    transaction
        .commit()
        .await
        .context("cannot store the session")?;
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
    let valid = parts.is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    let printable = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    ensure!(
        valid && printable && email.len() <= EMAIL_LENGTH_MAX,
        "{email:?} is no e-mail address"
    );
    Ok(())
}

/// The living user with this address, made when there is none.
async fn user(
    connection: &mut PgConnection,
    email: &str,
    is_admin: bool,
) -> anyhow::Result<UserId> {
    let found = users::lock_by_email(connection, email)
        .await
        .context("cannot look for the user (is the database migrated? run tiris-migrate up)")?;
    if let Some(LockedUser { id, status }) = found {
        ensure!(status == UserStatus::Active, "the user {email} is {status}");
        if is_admin {
            users::set_role(connection, id, Role::Admin).await?;
        }
        return Ok(id);
    }
    let wanted = email.split('@').next().unwrap_or(email);
    let new = NewUser {
        wanted,
        full_name: wanted,
        email: Some(email),
        avatar: None,
        role: if is_admin { Role::Admin } else { Role::User },
    };
    users::insert(connection, &new)
        .await
        .with_context(|| format!("cannot make the user {email}: try again"))
}
