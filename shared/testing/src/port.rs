//! TCP ports of the loopback interface.
//!
//! Owns: choosing one nobody uses. Must not know: who will.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Somebody may take a chosen port between the choice and the start.
const START_ATTEMPTS: u32 = 5;

/// A port of 127.0.0.1 that was free a moment ago.
///
/// Another process can take it before it is used; who starts a server on it must be ready to try again.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// `wanted` when nobody uses it, else another free port.
pub fn free_port_or(wanted: u16) -> Result<u16> {
    // Bound on all addresses, so that a server of this machine that listens on one of them is noticed too.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, wanted)).is_ok();
    if free { Ok(wanted) } else { free_port() }
}

/// Calls `launch` with `fixed`, or else with a free port, again with another one when somebody was faster.
pub(super) async fn on_free_port(
    fixed: Option<u16>,
    mut launch: impl AsyncFnMut(u16) -> Result<()>,
) -> Result<()> {
    if let Some(port) = fixed {
        return launch(port).await;
    }
    for _ in 1..START_ATTEMPTS {
        match launch(free_port()?).await {
            Err(error)
                if format!("{error:#}")
                    .to_lowercase()
                    .contains("address already in use") => {}
            outcome => return outcome,
        }
    }

    launch(free_port()?).await
}
