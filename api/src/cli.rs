//! The command line: commands and their flags.

use crate::command::admin::{self, AdminAction};
use crate::command::keys::{self, KeysAction};
use crate::command::secrets::{self, SecretsAction};
use crate::command::token::{self, TokenArgs};
use crate::command::{openapi, serve};
use crate::settings::{ADMIN_LISTEN_DEFAULT, ServeArgs};
use clap::{Parser, Subcommand};
use tiris_runtime::probe::HealthArgs;

/// The REST API of Tiris Backend
///
/// Serves when no command is given. Every setting is a flag or an environment variable.
#[derive(Parser, Debug)]
#[command(name = "tiris-api", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API until SIGTERM or Ctrl-C
    Serve(Box<ServeArgs>),
    /// Print an access token for local development, and create the user if needed
    ///
    /// Fails outside TIRIS_ENV=dev.
    Token(Box<TokenArgs>),
    /// Manage the encryption of credentials
    #[command(subcommand)]
    Secrets(SecretsAction),
    /// Grant or revoke the admin role
    #[command(subcommand)]
    Admin(AdminAction),
    /// Generate and print the keys of access tokens
    #[command(subcommand)]
    Keys(KeysAction),
    /// Print the OpenAPI document
    Openapi,
    /// Check the readiness of the process that serves on this machine; exit code 1 when it is not ready
    Health(HealthArgs),
}

impl Cli {
    /// Runs the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => serve::run(&self.serve).await,
            Some(Command::Serve(args)) => serve::run(&args).await,
            Some(Command::Token(args)) => token::run(&args).await,
            Some(Command::Secrets(SecretsAction::Rotate(args))) => secrets::run(&args).await,
            Some(Command::Admin(action)) => admin::run(&action).await,
            Some(Command::Keys(action)) => keys::run(&action),
            Some(Command::Openapi) => {
                println!("{}", openapi::document());
                Ok(())
            }
            Some(Command::Health(args)) => args.check(ADMIN_LISTEN_DEFAULT, "API_ADMIN_URL").await,
        }
    }
}
