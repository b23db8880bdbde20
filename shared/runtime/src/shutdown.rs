//! Turns SIGTERM and SIGINT into a cancellation token, which is passed around and never global.

use tokio_util::sync::CancellationToken;

/// Returns a token that the first SIGTERM or SIGINT cancels.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();

    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        cancel.cancel();
    });

    Ok(token)
}
