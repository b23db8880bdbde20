//! Grants and revokes the admin role, such as for the first admin.

use super::tool::{ToolArgs, active_user};
use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;
use tiris_domain::states::Role;
use tiris_runtime::config::Problems;
use tiris_store::audit::{self, Action, ActionName, Actor};
use tiris_store::users;

/// The commands of `tiris-api admin`.
#[derive(Subcommand, Debug)]
pub enum AdminAction {
    /// Give a user the role admin
    Grant(AdminArgs),
    /// Give an admin the role user
    Revoke(AdminArgs),
}

/// Settings of `tiris-api admin`.
#[derive(Args, Debug)]
pub struct AdminArgs {
    /// E-mail address of the user, who must have signed in before
    email: String,
    #[command(flatten)]
    tool: ToolArgs,
}

/// Changes the role of a user, and prints the previous one.
pub async fn run(action: &AdminAction) -> anyhow::Result<()> {
    let (args, role, name) = match action {
        AdminAction::Grant(args) => (args, Role::Admin, ActionName::UserGrantAdmin),
        AdminAction::Revoke(args) => (args, Role::User, ActionName::UserRevokeAdmin),
    };
    let email = &args.email;
    let mut problems = Problems::default();
    let tool = args.tool.check(&mut problems);
    let pool = problems.finish(tool)?.start("tiris-api admin")?;

    let mut transaction = pool.begin().await.context("cannot reach the database")?;
    let user = active_user(&mut transaction, email).await?;
    let user = user.with_context(|| {
        format!(
            "no user has the address {email}: a user is created by signing in for the first time"
        )
    })?;
    let before = users::set_role(&mut transaction, user, role).await?;
    if before == role {
        println!("{email} already has the role {role}");
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
    let recorded = audit::record(&mut transaction, &actor, &action).await?;
    let stored = transaction.commit().await;
    stored.context("cannot store the role")?;
    recorded.unlogged();

    println!(
        "{email} now has the role {role} (was {before}); running services notice it within 10 seconds"
    );
    Ok(())
}
