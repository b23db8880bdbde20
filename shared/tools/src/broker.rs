//! The accounts of a broker on this machine, as in `docker/nats/accounts.conf`: one that owns the streams, and one of bots.

use tiris_domain::event::Kind;

/// The login of a bot; on this machine it may publish for every user.
const BOT_LOGIN: &str = "bot:bot";
/// The account that owns the streams.
pub const STREAM_OWNER: &str = "TIRIS";

/// Returns the accounts for the configuration file. A client without a login is one of the account that owns the streams, so
/// that every command works without one.
#[must_use]
pub fn broker_accounts() -> String {
    let subjects: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| format!("{}.*", kind.bare_subject()))
        .collect();
    let exports: Vec<String> = subjects
        .iter()
        .map(|subject| format!("{{ service: \"{subject}\", accounts: [BOTS] }}"))
        .collect();
    let imports: Vec<String> = subjects
        .iter()
        .map(|subject| {
            format!("{{ service: {{ account: {STREAM_OWNER}, subject: \"{subject}\" }} }}")
        })
        .collect();
    let exports = exports.join(", ");
    let imports = imports.join(", ");

    format!(
        "no_auth_user: tiris\naccounts {{\n  \
         {STREAM_OWNER} {{ jetstream: enabled, users: [{{ user: tiris, password: tiris }}], exports: [{exports}] }}\n  \
         BOTS {{ users: [{{ user: bot, password: bot }}], imports: [{imports}] }}\n}}"
    )
}

/// Returns the address of a broker with these accounts for a bot.
#[must_use]
pub fn bot_url(port: u16) -> String {
    format!("nats://{BOT_LOGIN}@127.0.0.1:{port}")
}
