//! Issues an access token for local development, with the user and the session it needs.

use super::tool::{ToolArgs, active_user};
use crate::auth::keys::Keys;
use crate::auth::token;
use crate::settings::KeyArgs;
use anyhow::{Context, bail, ensure};
use chrono::{Duration, Utc};
use clap::Args;
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::Role;
use tiris_runtime::config::Problems;
use tiris_store::sessions::{self, NewSession, Renewal};
use tiris_store::users::{self, NewUser};

/// Longest e-mail address by RFC 5321.
const EMAIL_LENGTH_MAX: usize = 254;

/// Settings of `tiris-api token`.
#[derive(Args, Debug)]
pub struct TokenArgs {
    /// E-mail address of the user
    #[arg(long, value_name = "EMAIL")]
    email: String,
    /// Give the user the role admin
    #[arg(long)]
    admin: bool,
    /// Print a JSON object with token, user_id and expires_in (seconds)
    #[arg(long)]
    json: bool,
    /// Hours until the token expires
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    ttl_hours: u32,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    tool: ToolArgs,
}

/// Prints only the token on standard output.
pub async fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let mut problems = Problems::default();
    let tool = args.tool.check(&mut problems);
    let files = args.keys.check(args.tool.environment(), &mut problems);
    let (tool, files) = problems.finish(tool.zip(files))?;
    if tool.environment().is_strict() {
        bail!("this command works only with TIRIS_ENV=dev: elsewhere, sign in to get a token");
    }
    check_email(&args.email)?;

    let pool = tool.start("tiris-api token")?;
    let keys = Keys::load(&files, tool.environment())?;
    let mut transaction = pool.begin().await.context("cannot reach the database")?;
    let user = user(&mut transaction, &args.email, args.admin).await?;
    let new = NewSession {
        user,
        renewal: Renewal::Never,
        agent: Some("tiris-api token"),
        ip: None,
    };
    let session = sessions::begin(&mut transaction, new).await?;
    let stored = transaction.commit().await;
    stored.context("cannot store the session")?;

    let lifetime = Duration::hours(i64::from(args.ttl_hours));
    let token = token::issue(&keys, user, session, Utc::now(), lifetime)?;
    if args.json {
        let expires_in = lifetime.num_seconds();
        let shown = json!({"token": token, "user_id": user, "expires_in": expires_in});
        println!("{shown}");
    } else {
        println!("{token}");
    }
    Ok(())
}

fn check_email(email: &str) -> anyhow::Result<()> {
    let has_parts = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    let is_printable = !email.contains(|c: char| c.is_whitespace() || c.is_control());
    ensure!(
        has_parts && is_printable && email.len() <= EMAIL_LENGTH_MAX,
        "{email:?} is not an e-mail address of at most {EMAIL_LENGTH_MAX} characters"
    );
    Ok(())
}

/// Returns the user with this address, and creates it when there is none.
async fn user(
    connection: &mut PgConnection,
    email: &str,
    is_admin: bool,
) -> anyhow::Result<UserId> {
    if let Some(id) = active_user(connection, email).await? {
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
        .with_context(|| format!("cannot create the user {email}: try again"))
}
