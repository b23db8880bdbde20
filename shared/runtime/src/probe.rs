//! Asks a process of ours on this machine how it is. An image without a shell has no other way to check its health.
//!
//! Owns: the question, its time limit, the words of a bad answer. Must not know: what makes a process ready.

use crate::config::{ConfigError, Problems};
use reqwest::StatusCode;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longer than the process gives its own checks.
const ANSWER_LIMIT: Duration = Duration::from_secs(8);

/// Settings of the command `health`.
#[derive(clap::Args, Clone, Debug)]
pub struct HealthArgs {
    /// Ask only whether it runs, not whether it can do its work
    #[arg(long)]
    live: bool,
    /// Where it serves health and metrics [default: as when it serves]
    #[arg(long, env = "TIRIS_ADMIN_LISTEN", value_name = "HOST:PORT")]
    admin_listen: Option<String>,
}

/// Why the process does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The address cannot be read.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// Nobody answers there.
    #[error("no answer from {0}")]
    Silent(String, #[source] reqwest::Error),
    /// It says so itself.
    #[error("{url} answers {status}: {body}")]
    Unwell {
        /// What was asked.
        url: String,
        /// How it was answered.
        status: StatusCode,
        /// Its own words.
        body: String,
    },
}

impl HealthArgs {
    /// Asks; `admin_listen_default` is the binary's own.
    pub async fn ask(&self, admin_listen_default: &str) -> Result<(), Unhealthy> {
        let address = self.address(admin_listen_default)?;
        let question = if self.live { "live" } else { "ready" };
        let url = format!("http://{address}/health/{question}");

        let silent = |error: reqwest::Error| Unhealthy::Silent(url.clone(), error.without_url());
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            .build()
            .map_err(silent)?;
        let answer = client.get(&url).send().await.map_err(silent)?;

        let status = answer.status();
        let body = answer.text().await.map_err(silent)?;
        if status.is_success() {
            return Ok(());
        }

        Err(Unhealthy::Unwell { url, status, body })
    }

    /// Where to ask a process that listens there.
    fn address(&self, default: &str) -> Result<SocketAddr, ConfigError> {
        let mut problems = Problems::default();
        let listen = self.admin_listen.as_deref().unwrap_or(default);
        let listen: Option<SocketAddr> = problems.parse("TIRIS_ADMIN_LISTEN", listen);
        let mut address = problems.finish(listen)?;
        // One that listens everywhere listens on the machine itself, too.
        match address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_listens_everywhere_is_asked_on_this_machine() {
        let asked = |listen: Option<&str>| {
            let args = HealthArgs {
                live: true,
                admin_listen: listen.map(str::to_owned),
            };
            args.address("127.0.0.1:9464")
                .map(|address| address.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(asked(None).as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(asked(Some("0.0.0.0:1")).as_deref(), Ok("127.0.0.1:1"));
        assert_eq!(asked(Some("[::]:1")).as_deref(), Ok("[::1]:1"));
        assert_eq!(asked(Some("10.0.0.7:1")).as_deref(), Ok("10.0.0.7:1"));
        assert!(asked(Some("everywhere")).is_err_and(|error| error.contains("TIRIS_ADMIN_LISTEN")));
    }
}
