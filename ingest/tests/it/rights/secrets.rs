//! The broker's accounts of compose, with the users that `docker/make-secrets` creates, and their logins.

use crate::world::World;
use anyhow::{Context, Result, ensure};
use async_nats::Client;
use std::path::Path;
use std::process::Command;
use tiris_testing::scratch_dir;
use uuid::Uuid;

/// The broker's accounts of compose, with the users that `make-secrets` created for two bots.
pub(super) struct Secrets {
    environment: String,
    accounts: String,
    /// What `make-secrets` printed for each bot.
    printed: [String; 2],
}

impl Secrets {
    pub(super) fn make(bots: [Uuid; 2]) -> Result<Self> {
        let folder = scratch_dir("rights")?;
        let script = folder.path().join("make-secrets");
        let docker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker");
        std::fs::copy(docker.join("make-secrets"), &script)?;

        let make = |bot: Uuid| {
            let command = Command::new("bash")
                .arg(&script)
                .args(["bot", &bot.to_string()])
                .output();
            let output = command?;
            ensure!(output.status.success(), "{output:?}");
            Ok(String::from_utf8(output.stdout)?)
        };
        let [first, second] = bots;
        let printed = [make(first)?, make(second)?];

        let read = |name: &str| std::fs::read_to_string(folder.path().join(name));
        let accounts = std::fs::read_to_string(docker.join("nats/accounts.conf"))?;
        let accounts = accounts
            .replace(
                "include \"nats/tiris.conf\"",
                &read("secrets/nats/tiris.conf")?,
            )
            .replace(
                "include \"nats/bots.conf\"",
                &read("secrets/nats/bots.conf")?,
            );
        Ok(Self {
            environment: read(".env")?,
            accounts,
            printed,
        })
    }

    /// Returns the broker's accounts, with the passwords that it would read from its environment.
    pub(super) fn configuration(&self) -> String {
        let variables = self
            .environment
            .lines()
            .filter_map(|line| line.split_once('='));
        let put = |accounts: String, (name, value): (&str, &str)| {
            accounts.replace(&format!("${name}"), value)
        };
        let accounts = variables.fold(self.accounts.clone(), put);
        // The harness connects without a user.
        format!("no_auth_user: admin\n{accounts}")
    }

    pub(super) fn password(&self, name: &str) -> Result<&str> {
        let line = self
            .environment
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.with_context(|| format!("no {name}"))
    }

    /// Returns the login of a bot, as printed.
    pub(super) fn bot(&self, index: usize) -> Result<Login<'_>> {
        let printed = |what: &str| {
            let mut lines = self.printed[index].lines();
            let line = lines.find_map(|line| line.strip_prefix(what));
            Ok::<_, anyhow::Error>(line.with_context(|| format!("no {what}"))?.trim())
        };
        Ok(Login {
            user: printed("user")?,
            password: printed("password")?,
            inbox: printed("inbox prefix")?,
        })
    }
}

/// A login to the broker.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) inbox: &'a str,
}

impl Login<'_> {
    pub(super) async fn connect(&self, world: &World) -> Result<Client> {
        let options = async_nats::ConnectOptions::with_user_and_password(
            self.user.to_owned(),
            self.password.to_owned(),
        );
        let options = options.custom_inbox_prefix(self.inbox);
        Ok(options.connect(world.nats.url()).await?)
    }
}
