//! Free TCP ports of the loopback interface.

use anyhow::{Context, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Another process may take a chosen port before the server starts.
const START_ATTEMPTS: u32 = 5;

/// Returns a free port of 127.0.0.1. Another process may take it before it is used, so callers must be ready to retry.
pub fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Returns `wanted` when it is free, otherwise another free port.
pub fn free_port_or(wanted: u16) -> Result<u16> {
    // Also checked on all addresses, which detects a server on any of them.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).is_ok()
        && TcpListener::bind((Ipv4Addr::UNSPECIFIED, wanted)).is_ok();
    if free { Ok(wanted) } else { free_port() }
}

/// Calls `launch` with `fixed`, or with a free port, and retries when that was taken meanwhile.
pub(super) async fn on_free_port<T>(
    fixed: Option<u16>,
    mut launch: impl AsyncFnMut(u16) -> Result<T>,
) -> Result<T> {
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
