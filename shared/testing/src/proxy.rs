//! A TCP proxy that cuts, stalls and swallows, whatever the protocol.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const BUFFER_BYTES: usize = 64 * 1024;

/// The treatment of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyMode {
    /// Passes everything on.
    Pass,
    /// Discards what the server sends. An affected connection never passes anything from the server again.
    Swallow,
    /// Swallows once a client has sent these words.
    SwallowAfter(&'static str),
    /// Holds everything back.
    Stall,
    /// Delays everything in both directions.
    Slow(Duration),
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    mode: watch::Sender<ProxyMode>,
    /// By the local port of the connection to the server.
    open: Mutex<BTreeMap<u16, CancellationToken>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u16, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy in front of a port of this machine. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct Proxy {
    /// The port on 127.0.0.1 that clients connect to.
    pub port: u16,
    shared: Arc<Shared>,
    _guard: DropGuard,
}

impl Proxy {
    /// Starts a proxy in front of the port `target`.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot start a proxy")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: target.into(),
            mode: watch::Sender::new(ProxyMode::Pass),
            open: Mutex::default(),
        });
        let end = CancellationToken::new();
        tokio::spawn(accept(listener, shared.clone(), end.clone()));

        Ok(Self {
            port,
            shared,
            _guard: end.drop_guard(),
        })
    }

    /// Sets the target port of new connections.
    pub fn lead_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::Release);
    }

    /// Sets the treatment of bytes.
    pub fn set(&self, mode: ProxyMode) {
        self.shared.mode.send_replace(mode);
    }

    /// Cuts all connections and returns their number.
    pub fn cut(&self) -> usize {
        let open = self.shared.open();
        open.values().for_each(CancellationToken::cancel);
        open.len()
    }

    /// Returns whether the server sees a connection from this port.
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        self.shared.open().contains_key(&port)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, end: CancellationToken) {
    while let Some(accepted) = end.run_until_cancelled(listener.accept()).await {
        if let Ok((client, _)) = accepted {
            tokio::spawn(serve(client, shared.clone(), end.child_token()));
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>, cut: CancellationToken) {
    // When the server is down, the client's connection ends.
    let target = shared.target.load(Ordering::Acquire);
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let Ok(address) = server.local_addr() else {
        return;
    };

    shared.open().insert(address.port(), cut.clone());
    let passing = pass(client, server, &shared.mode);
    cut.run_until_cancelled(passing).await;
    shared.open().remove(&address.port());
}

/// Passes bytes in both directions until one side closes. No protocol here half-closes connections.
async fn pass(client: TcpStream, server: TcpStream, mode: &watch::Sender<ProxyMode>) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let has_gap = AtomicBool::new(false);

    tokio::select! {
        biased;
        () = pump(from_client, to_server, mode.subscribe(), Sender::Client, &has_gap) => {}
        () = pump(from_server, to_client, mode.subscribe(), Sender::Server, &has_gap) => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Client,
    Server,
}

/// Passes the bytes of one side. `has_gap` is set once bytes of the server are lost: nothing of it may follow, because
/// the client would misread the rest.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<ProxyMode>,
    sender: Sender,
    has_gap: &AtomicBool,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        let now = *mode.borrow_and_update();
        match now {
            ProxyMode::Pass => {}
            ProxyMode::Stall => {
                if mode
                    .wait_for(|mode| *mode != ProxyMode::Stall)
                    .await
                    .is_err()
                {
                    return;
                }
            }
            ProxyMode::Slow(delay) => tokio::time::sleep(delay).await,
            ProxyMode::Swallow => {
                has_gap.fetch_or(sender == Sender::Server, Ordering::AcqRel);
            }
            // Before the server receives the words, so that its response is swallowed.
            ProxyMode::SwallowAfter(words) => {
                let mut windows = bytes.windows(words.len());
                let found = windows.any(|window| window == words.as_bytes());
                has_gap.fetch_or(found && sender == Sender::Client, Ordering::AcqRel);
            }
        }

        let is_lost = sender == Sender::Server && has_gap.load(Ordering::Acquire);
        if !is_lost && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
