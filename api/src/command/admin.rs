//! Makes users admins and takes it from them again; the first admin has nobody else to ask.

use crate::cli::{AdminAction, AdminArgs};
use anyhow::{Context, ensure};
use serde_json::json;
use tiris_domain::states::{Role, UserStatus};
use tiris_runtime::config::Problems;
use tiris_runtime::{database, telemetry};
use tiris_store::audit::{self, Action, Actor};
use tiris_store::users::{self, LockedUser};

/// Changes the role of the user with the e-mail address, and says what it was.
pub async fn run(action: &AdminAction) -> anyhow::Result<()> {
    let (args, role, name) = match action {
        AdminAction::Grant(args) => (args, Role::Admin, "user.grant_admin"),
        AdminAction::Revoke(args) => (args, Role::User, "user.revoke_admin"),
    };
    let AdminArgs {
        email,
        database,
        service,
    } = args;
    let mut problems = Problems::default();
    let settings = database
        .check(service.environment(), &mut problems)
        .zip(service.check("127.0.0.1:0", &mut problems));
    let (database, service) = problems.finish(settings)?;
    telemetry::init("tiris-api", &service.log);
    let pool = database::pool(&database, "tiris-api admin").context("cannot use DATABASE_URL")?;
    let mut transaction = pool.begin().await.context("cannot reach the database")?;
    let found = users::lock_by_email(&mut transaction, email)
        .await
        .context("cannot look for the user")?;
    let LockedUser { id, status } = found.with_context(|| {
        format!("there is no user with the address {email}: users are made by signing in for the first time")
    })?;
    ensure!(status == UserStatus::Active, "the user {email} is {status}");
    let before = users::set_role(&mut transaction, id, role).await?;
    if before == role {
        println!("{email} has the role {role} already");
        return Ok(());
    }
    let action = Action {
        name,
        resource: "user",
        id: Some(id.to_string()),
        before: Some(json!({"role": before})),
        after: Some(json!({"role": role})),
    };
    let actor = Actor {
        agent: Some("tiris-api admin".to_owned()),
        ..Actor::default()
    };
    audit::record(&mut transaction, &actor, &action).await?;
    transaction
        .commit()
        .await
        .context("cannot store the role")?;
    println!(
        "{email} has the role {role} now (was {before}); running services notice it within 10 seconds"
    );
    Ok(())
}
