//! Makes users admins and takes it from them again; the first admin has nobody else to ask.

use super::tool::ToolArgs;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use tiris_domain::states::{Role, UserStatus};
use tiris_runtime::config::Problems;
use tiris_store::audit::{self, Action, Actor};
use tiris_store::users::{self, LockedUser};

/// What `tiris-api admin` does.
#[derive(Subcommand, Debug)]
pub enum AdminAction {
    /// Make a user an admin
    Grant(AdminArgs),
    /// Make an admin a user like any other
    Revoke(AdminArgs),
}

/// Whose role changes.
#[derive(Args, Debug)]
pub struct AdminArgs {
    /// E-mail address of the user, who has signed in before
    email: String,
    #[command(flatten)]
    tool: ToolArgs,
}

/// Changes the role of the user with the e-mail address, and says what it was.
pub async fn run(action: &AdminAction) -> anyhow::Result<()> {
    let (args, role, name) = match action {
        AdminAction::Grant(args) => (args, Role::Admin, "user.grant_admin"),
        AdminAction::Revoke(args) => (args, Role::User, "user.revoke_admin"),
    };
    let email = &args.email;
    let mut problems = Problems::default();
    let tool = args.tool.check(&mut problems);
    let pool = problems.finish(tool)?.start("tiris-api admin")?;

    let mut transaction = pool.begin().await.context("cannot reach the database")?;
    let user = active_user(&mut transaction, email).await?;
    let before = users::set_role(&mut transaction, user, role).await?;
    if before == role {
        println!("{email} has the role {role} already");
        return Ok(());
    }

    let action = Action {
        name,
        resource: "user",
        id: Some(user.to_string()),
        before: Some(json!({"role": before})),
        after: Some(json!({"role": role})),
    };
    let actor = Actor {
        agent: Some("tiris-api admin".to_owned()),
        ..Actor::default()
    };
    audit::record(&mut transaction, &actor, &action).await?;
    let stored = transaction.commit().await;
    stored.context("cannot store the role")?;

    println!(
        "{email} has the role {role} now (was {before}); running services notice it within 10 seconds"
    );
    Ok(())
}

async fn active_user(connection: &mut PgConnection, email: &str) -> anyhow::Result<UserId> {
    let found = users::lock_by_email(connection, email)
        .await
        .context("cannot look for the user")?;
    let LockedUser { id, status } = found.with_context(|| {
        format!("there is no user with the address {email}: users are made by signing in for the first time")
    })?;
    ensure!(status == UserStatus::Active, "the user {email} is {status}");
    Ok(id)
}
