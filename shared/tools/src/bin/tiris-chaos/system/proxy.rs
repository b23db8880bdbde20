//! A TCP proxy that can cut, stall and swallow.
//!
//! Owns: the connections through it. Must not know: the protocol in them.

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

/// What is done to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// What the server sends is thrown away. Connections on which that happened never pass anything again.
    Swallow,
    /// The same, from the moment on at which a client sends these words.
    SwallowAfter(&'static str),
    /// Nothing moves.
    Stall,
    /// What either side sends arrives so much later.
    Slow(Duration),
}

#[derive(Debug)]
struct Shared {
    target: AtomicU16,
    mode: watch::Sender<Mode>,
    /// By the port we connect to the server from.
    open: Mutex<BTreeMap<u16, CancellationToken>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<u16, CancellationToken>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A proxy in front of a port of this machine. Dropping it ends it and its connections.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _guard: DropGuard,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot start a proxy")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: target.into(),
            mode: watch::Sender::new(Mode::Pass),
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

    /// Where it listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// New connections go there.
    pub(crate) fn lead_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::Release);
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Cuts all connections; answers how many.
    pub(crate) fn cut(&self) -> usize {
        let open = self.shared.open();
        open.values().for_each(CancellationToken::cancel);
        open.len()
    }

    /// The ports its connections come from, as the server sees them.
    pub(crate) fn has_port(&self, port: u16) -> bool {
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
    // A server that is down refuses; the client sees its connection end.
    let target = shared.target.load(Ordering::Acquire);
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let Ok(address) = server.local_addr() else {
        return;
    };

    shared.open().insert(address.port(), cut.clone());
    join(client, server, &shared.mode, &cut).await;
    shared.open().remove(&address.port());
}

/// Passes bytes both ways until one side ends or the connection is cut.
async fn join(
    client: TcpStream,
    server: TcpStream,
    mode: &watch::Sender<Mode>,
    cut: &CancellationToken,
) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // After a gap nothing may follow: the client would take the rest for something else.
    let has_gap = AtomicBool::new(false);
    let client = Side::Client(&has_gap);
    let server = Side::Server(&has_gap);
    let up = pump(from_client, to_server, mode.subscribe(), client);
    let down = pump(from_server, to_client, mode.subscribe(), server);

    tokio::select! {
        biased;
        () = cut.cancelled() => {}
        // An end from either side ends both: neither protocol here knows half-closed connections.
        () = up => {}
        () = down => {}
    }
}

/// Who sends, and whether something is missing of what the server sent.
#[derive(Clone, Copy)]
enum Side<'a> {
    Client(&'a AtomicBool),
    Server(&'a AtomicBool),
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    side: Side<'_>,
) {
    let mut buffer = vec![0; BUFFER_BYTES];

    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let now = *mode.borrow_and_update();
        match now {
            Mode::Stall => {
                if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() {
                    return;
                }
            }
            Mode::Slow(delay) => tokio::time::sleep(delay).await,
            Mode::Pass | Mode::Swallow | Mode::SwallowAfter(_) => {}
        }
        let bytes = &buffer[..length];
        match (now, side) {
            (Mode::Swallow, Side::Server(has_gap)) => has_gap.store(true, Ordering::Release),
            // Before the server gets to see it, so that its answer comes too late.
            (Mode::SwallowAfter(words), Side::Client(has_gap)) if contains(bytes, words) => {
                has_gap.store(true, Ordering::Release);
            }
            _ => {}
        }
        let is_lost = matches!(side, Side::Server(has_gap) if has_gap.load(Ordering::Acquire));
        if !is_lost && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes
        .windows(words.len())
        .any(|window| window == words.as_bytes())
}
