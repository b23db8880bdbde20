//! The command line: which command, and with which settings.
//!
//! Owns: names and help of commands and flags. Must not know: what a command does.

use crate::command;
use crate::settings::{ADMIN_LISTEN_DEFAULT, KeyArgs, ServeArgs};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use tiris_runtime::config::{DatabaseArgs, ServiceArgs};
use tiris_runtime::crypto::EncryptionArgs;
use tiris_runtime::probe::HealthArgs;

/// The REST API of Tiris Backend
///
/// Without a command it serves. Every setting can be given as a flag or by its environment variable.
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
    /// Print an access token for local use, making the user when it is missing
    ///
    /// Only for development: it refuses to work with TIRIS_ENV=production.
    Token(Box<TokenArgs>),
    /// Look after the encryption of credentials
    Secrets(Box<SecretsArgs>),
    /// Make a user an admin, or take it away again
    #[command(subcommand)]
    Admin(AdminAction),
    /// Make and show the keys that sign access tokens
    #[command(subcommand)]
    Keys(KeysAction),
    /// Print the OpenAPI document
    Openapi,
    /// Ask the process that serves on this machine how it is; exit code 1 when it is not ready
    Health(HealthArgs),
}

/// What can be done to encrypted credentials.
#[derive(Args, Debug)]
struct SecretsArgs {
    #[command(subcommand)]
    command: SecretsCommand,
}

#[derive(Subcommand, Debug)]
enum SecretsCommand {
    /// Re-encrypt everything that is not under the first key of TIRIS_ENCRYPTION_KEYS
    ///
    /// Works while the service runs, can be ended at any moment and started again, and prints how many rows are left;
    /// then it decrypts every row and prints how many cannot be read. It fails when any are left or unreadable. Before it: let all processes know the new key, then let all of them encrypt with it.
    /// After it: drop the old key everywhere.
    Rotate(RotateArgs),
}

/// Settings of `tiris-api secrets rotate`.
#[derive(Args, Debug)]
pub struct RotateArgs {
    #[command(flatten)]
    pub(crate) encryption: EncryptionArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Settings of `tiris-api token`.
#[derive(Args, Debug)]
pub struct TokenArgs {
    /// E-mail address of the user
    #[arg(long, value_name = "EMAIL")]
    pub(crate) email: String,
    /// Make the user an admin
    #[arg(long)]
    pub(crate) admin: bool,
    /// Print a JSON object with token, user_id and expires_in (seconds)
    #[arg(long)]
    pub(crate) json: bool,
    /// Hours until the token expires
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub(crate) ttl_hours: u32,
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

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
    pub(crate) email: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// What `tiris-api keys` does.
#[derive(Subcommand, Debug)]
pub enum KeysAction {
    /// Make an Ed25519 key in a new file that only its owner can read
    New {
        /// The file, which must not be there yet
        file: PathBuf,
    },
    /// Print the ids and public parts of the keys in TIRIS_JWT_KEY_FILE
    Show(ShowKeysArgs),
}

/// Which keys are shown.
#[derive(Args, Debug)]
pub struct ShowKeysArgs {
    #[command(flatten)]
    pub(crate) keys: KeyArgs,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

impl Cli {
    /// Runs the command to its end.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            None => command::serve::run(&self.serve).await,
            Some(Command::Serve(args)) => command::serve::run(&args).await,
            Some(Command::Token(args)) => command::token::run(&args).await,
            Some(Command::Secrets(args)) => match &args.command {
                SecretsCommand::Rotate(args) => command::secrets::run(args).await,
            },
            Some(Command::Admin(action)) => command::admin::run(&action).await,
            Some(Command::Keys(action)) => command::keys::run(&action),
            Some(Command::Openapi) => {
                println!("{}", command::openapi::document());
                Ok(())
            }
            Some(Command::Health(args)) => Ok(args.ask(ADMIN_LISTEN_DEFAULT).await?),
        }
    }
}
