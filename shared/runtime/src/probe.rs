//! The `health` command: queries the admin listener of a process on this machine. An image without a shell has no other
//! way to check its health.

use crate::dev_stack;
use anyhow::{Context, Result, ensure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longer than the process allows its own checks.
const RESPONSE_LIMIT: Duration = Duration::from_secs(8);

/// Arguments of the `health` command.
#[derive(clap::Args, Clone, Debug)]
pub struct HealthArgs {
    /// Check only that the process runs, not that it is ready
    #[arg(long)]
    live: bool,
    /// Address of its listener for health and metrics [default: that of the development stack when it runs, else the same
    /// as for the service]
    #[arg(long, env = "TIRIS_ADMIN_LISTEN", value_name = "HOST:PORT")]
    admin_listen: Option<String>,
    /// Where the process runs: dev, staging or production
    #[arg(long, env = "TIRIS_ENV", default_value = "dev", value_name = "ENV")]
    environment: String,
}

impl HealthArgs {
    /// Fails unless the process reports that it is healthy; `admin_listen_default` is the default of the binary, and
    /// `stack_variable` the variable of the development stack with its address.
    pub async fn check(&self, admin_listen_default: &str, stack_variable: &str) -> Result<()> {
        let stack = self.stack(stack_variable);
        let address = self.address(stack.as_deref().unwrap_or(admin_listen_default))?;
        let probe = if self.live { "live" } else { "ready" };
        let url = format!("http://{address}/health/{probe}");

        let client = reqwest::Client::builder().no_proxy();
        let client = client.timeout(RESPONSE_LIMIT).build()?;
        let answer = async {
            let response = client.get(&url).send().await?;
            let status = response.status();
            Ok((status, response.text().await?))
        };
        let (status, body) = answer
            .await
            .map_err(reqwest::Error::without_url)
            .with_context(|| format!("no answer from {url}"))?;

        ensure!(status.is_success(), "{url} returned {status}: {body}");
        Ok(())
    }

    /// Returns the address in the running development stack, unless this is not a developer's machine.
    fn stack(&self, variable: &str) -> Option<String> {
        if self.environment.trim() != "dev" {
            return None;
        }
        let url = dev_stack::variable(variable)?;
        url.strip_prefix("http://").map(str::to_owned)
    }

    /// Returns the loopback address when the process listens on all addresses.
    fn address(&self, default: &str) -> Result<SocketAddr> {
        let listen = self.admin_listen.as_deref().unwrap_or(default);
        let mut address: SocketAddr = listen
            .trim()
            .parse()
            .with_context(|| format!("TIRIS_ADMIN_LISTEN (given: {listen:?})"))?;

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
    fn a_listener_on_all_addresses_is_queried_on_loopback() {
        let address = |listen: Option<&str>| {
            let args = HealthArgs {
                live: true,
                admin_listen: listen.map(str::to_owned),
                environment: "dev".to_owned(),
            };
            args.address("127.0.0.1:9464")
                .map(|address| address.to_string())
                .map_err(|error| error.to_string())
        };

        assert_eq!(address(None).as_deref(), Ok("127.0.0.1:9464"));
        assert_eq!(address(Some("0.0.0.0:1")).as_deref(), Ok("127.0.0.1:1"));
        assert_eq!(address(Some("[::]:1")).as_deref(), Ok("[::1]:1"));
        assert_eq!(address(Some("10.0.0.7:1")).as_deref(), Ok("10.0.0.7:1"));
        assert!(
            address(Some("everywhere")).is_err_and(|error| error.contains("TIRIS_ADMIN_LISTEN"))
        );
    }
}
