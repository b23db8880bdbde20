//! Fake exchanges on this machine: they check signatures like the real ones and fail on demand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use poem::endpoint::make;
use poem::http::StatusCode;
use poem::listener::{Acceptor, Listener, TcpListener};
use poem::{Request, Response, Server};
use sha2::{Digest, Sha256, Sha512};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tiris_api::exchange::ExchangeSettings;
use tokio::sync::Semaphore;

/// A known API key, so short that the mask of a binding hides it completely.
pub(crate) const KEY: &str = "K3yOfAnn0123456";
/// The secret of the key, in base64 like those of Kraken.
pub(crate) const SECRET: &str = "U2VjcmV0T2ZBbm5Gb3JUaGVUZXN0cw==";

/// The behaviour of the exchanges.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// The difference between their clock and ours.
    pub(crate) ahead_millis: i64,
    /// The statuses of the next calls, before they succeed again.
    pub(crate) failures: Vec<u16>,
    /// Whether they never respond.
    pub(crate) silent: bool,
    /// They wait for a permit before they respond.
    pub(crate) gate: Option<Arc<Semaphore>>,
    /// Whether each response is too long.
    pub(crate) endless: bool,
    /// The greatest nonce so far.
    pub(crate) nonce: u64,
    /// The paths of the calls so far.
    pub(crate) calls: Vec<String>,
}

/// Three exchanges at one address.
pub(crate) struct Exchanges {
    pub(crate) url: String,
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
}

impl Exchanges {
    pub(crate) async fn start() -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0")
            .into_acceptor()
            .await
            .expect("a port");
        let address = acceptor.local_addr()[0]
            .as_socket_addr()
            .copied()
            .expect("an address");
        let behaviour = Arc::new(Mutex::new(Behaviour::default()));
        let shared = Arc::clone(&behaviour);
        let endpoint = make(move |request| answer(request, Arc::clone(&shared)));
        tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint));

        Self {
            url: format!("http://{address}"),
            behaviour,
        }
    }

    pub(crate) fn settings(&self, verify_changes: bool) -> ExchangeSettings {
        ExchangeSettings {
            binance_url: self.url.clone(),
            kraken_url: self.url.clone(),
            gate_url: self.url.clone(),
            timeout: Duration::from_secs(4),
            verify_changes,
        }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().expect("unpoisoned"));
    }

    /// Takes the paths of the calls since the last time.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.behaviour.lock().expect("unpoisoned").calls)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The behaviour of one call.
struct Call {
    failure: Option<u16>,
    is_silent: bool,
    is_endless: bool,
    gate: Option<Arc<Semaphore>>,
    ahead_millis: i64,
}

fn call(behaviour: &Mutex<Behaviour>, path: &str) -> Call {
    let mut behaviour = behaviour.lock().expect("unpoisoned");
    behaviour.calls.push(path.to_owned());
    let is_failing = !behaviour.failures.is_empty();
    Call {
        failure: is_failing.then(|| behaviour.failures.remove(0)),
        is_silent: behaviour.silent,
        is_endless: behaviour.endless,
        gate: behaviour.gate.clone(),
        ahead_millis: behaviour.ahead_millis,
    }
}

async fn answer(mut request: Request, behaviour: Arc<Mutex<Behaviour>>) -> Response {
    let path = request.uri().path().to_owned();
    let body = request.take_body().into_string().await.unwrap_or_default();
    let call = call(&behaviour, &path);
    if call.is_silent {
        std::future::pending::<()>().await;
    }
    if let Some(gate) = call.gate {
        drop(gate.acquire().await.expect("an open gate"));
    }
    if call.is_endless {
        return Response::builder().body("x".repeat(3 * 1024 * 1024));
    }
    if let Some(status) = call.failure {
        let status = StatusCode::from_u16(status).expect("a status");
        return Response::builder()
            .status(status)
            .header("location", "/elsewhere")
            .finish();
    }

    let now = chrono::Utc::now().timestamp_millis() + call.ahead_millis;
    let (status, text) = match path.as_str() {
        "/api/v3/time" => (200, format!(r#"{{"serverTime":{now}}}"#)),
        "/api/v3/account" => binance(&request, now),
        "/0/private/Balance" => {
            let nonce = &mut behaviour.lock().expect("unpoisoned").nonce;
            (200, kraken(&request, &body, nonce))
        }
        "/api/v4/spot/time" => (200, format!(r#"{{"server_time":{now}}}"#)),
        "/api/v4/spot/accounts" => gate(&request, now),
        _ => (404, "{}".to_owned()),
    };
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .body(text)
}

fn binance(request: &Request, now: i64) -> (u16, String) {
    let query = request.uri().query().unwrap_or_default();
    let (text, signature) = query.split_once("&signature=").unwrap_or_default();
    let timestamp = text
        .split_once("&timestamp=")
        .and_then(|(_, time)| time.parse::<i64>().ok());

    if request.header("X-MBX-APIKEY") != Some(KEY) {
        return (
            401,
            r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#.to_owned(),
        );
    }

    if signature != hex(&signed::<Hmac<Sha256>>(SECRET.as_bytes(), text.as_bytes())) {
        return (
            400,
            r#"{"code":-1022,"msg":"Signature for this request is not valid."}"#.to_owned(),
        );
    }

    if timestamp.is_none_or(|time| (now - time).abs() > 5_000) {
        return (
            400,
            r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#
                .to_owned(),
        );
    }

    (200, r#"{"canTrade":true,"balances":[]}"#.to_owned())
}

fn kraken(request: &Request, body: &str, last: &mut u64) -> String {
    let nonce = body.strip_prefix("nonce=").unwrap_or_default();
    let message = [
        b"/0/private/Balance".as_slice(),
        &Sha256::digest(format!("{nonce}{body}")),
    ]
    .concat();
    let expected = STANDARD.encode(signed::<Hmac<Sha512>>(
        &STANDARD.decode(SECRET).expect("base64"),
        &message,
    ));
    let number: u64 = nonce.parse().unwrap_or_default();
    let error = if request.header("API-Key") != Some(KEY) {
        Some("EAPI:Invalid key")
    } else if request.header("API-Sign") != Some(&expected) {
        Some("EAPI:Invalid signature")
    } else if number <= std::mem::replace(last, number.max(*last)) {
        Some("EAPI:Invalid nonce")
    } else {
        None
    };

    error.map_or_else(
        || r#"{"error":[],"result":{}}"#.to_owned(),
        |error| format!(r#"{{"error":["{error}"]}}"#),
    )
}

fn gate(request: &Request, now: i64) -> (u16, String) {
    let time = request.header("Timestamp").unwrap_or_default();
    let nothing = hex(&Sha512::digest(b""));
    let message = format!("GET\n/api/v4/spot/accounts\n\n{nothing}\n{time}");

    if request.header("KEY") != Some(KEY) {
        return (
            401,
            r#"{"label":"INVALID_KEY","message":"Invalid key provided"}"#.to_owned(),
        );
    }

    if request.header("SIGN")
        != Some(&hex(&signed::<Hmac<Sha512>>(
            SECRET.as_bytes(),
            message.as_bytes(),
        )))
    {
        return (
            401,
            r#"{"label":"INVALID_SIGNATURE","message":"Signature mismatch"}"#.to_owned(),
        );
    }

    if time
        .parse::<i64>()
        .is_ok_and(|seconds| (now / 1_000 - seconds).abs() > 60)
    {
        return (
            403,
            r#"{"label":"REQUEST_EXPIRED","message":"gap between request Timestamp and server time"}"#
                .to_owned(),
        );
    }
    (
        200,
        r#"[{"currency":"BTC","available":"1","locked":"0"}]"#.to_owned(),
    )
}
