//! Kraken: `POST /0/private/Balance`; path, nonce and form signed with HMAC-SHA-512 under the decoded secret.

use super::call::{ExchangeError, Meaning, code_of, json, secret_header};
use super::sign::{self, HmacSha512};
use crate::outgoing::CallResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::Utc;
use poem::http::{Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use zeroize::Zeroizing;

const PATH: &str = "/0/private/Balance";
/// Errors by which Kraken refuses a key, a signature, or the permissions of a key.
const REFUSALS: [&str; 3] = [
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EGeneral:Permission denied",
];
const WRONG_NONCE: &str = "EAPI:Invalid nonce";

/// Increasing numbers in milliseconds, as most programs use them. Kraken remembers the greatest nonce of a key, so a finer
/// unit would shut out the owner's own bot for good.
#[derive(Default)]
pub(super) struct Nonce(AtomicU64);

impl Nonce {
    pub(super) fn next(&self) -> u64 {
        let now = u64::try_from(Utc::now().timestamp_millis()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        let last = self
            .0
            .fetch_update(Relaxed, Relaxed, |last| Some(next(last)));
        next(last.unwrap_or_default())
    }
}

/// Decodes an API secret; `None` when it is not base64.
pub(super) fn decode(secret: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let secret = STANDARD.decode(secret.expose_secret()).ok()?;
    Some(Zeroizing::new(secret))
}

pub(super) fn balance(
    base: &str,
    nonce: u64,
    key: &SecretString,
    secret: &[u8],
) -> Result<Request<Bytes>, ExchangeError> {
    let nonce = nonce.to_string();
    let form = format!("nonce={nonce}");

    let request = Request::post(format!("{base}{PATH}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header("API-Key", secret_header(key)?)
        .header("API-Sign", sign(secret, PATH, &nonce, &form))
        .body(Bytes::from(form));
    request.map_err(ExchangeError::unreachable)
}

fn sign(secret: &[u8], path: &str, nonce: &str, form: &str) -> String {
    let digest = Sha256::digest(format!("{nonce}{form}"));
    let message = [path.as_bytes(), &digest[..]].concat();
    STANDARD.encode(sign::sign::<HmacSha512>(secret, &message))
}

pub(super) fn meaning(response: &CallResponse) -> Meaning {
    let body = json(&response.body);
    let errors = match body["error"].as_array() {
        Some(errors) if response.status == StatusCode::OK => errors,
        _ => {
            let status = response.status.as_u16();
            return Meaning::Nothing(format!("Kraken returns status {status}"));
        }
    };

    let code = errors.first().map(|code| code.as_str().unwrap_or_default());
    match code {
        None => Meaning::VALID,
        Some(WRONG_NONCE) => Meaning::WrongTime,
        Some(code) if REFUSALS.contains(&code) => Meaning::refused(code),
        Some(code) => Meaning::Nothing(format!("Kraken returns {}", code_of(code))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_example_of_the_documentation() {
        let secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
        let form =
            "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
        let expected = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==";
        let secret = STANDARD.decode(secret).expect("base64");
        assert_eq!(
            sign(&secret, "/0/private/AddOrder", "1616492376594", form),
            expected
        );
    }

    #[test]
    fn nonces_increase_within_a_millisecond() {
        let nonce = Nonce::default();
        let nonces: Vec<u64> = (0..1_000).map(|_| nonce.next()).collect();
        assert!(nonces.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            nonces[0] > 1_600_000_000_000 && nonces[999] < 16_000_000_000_000,
            "milliseconds"
        );
    }

    #[test]
    fn only_responses_about_the_key_are_a_verdict() {
        let nothing = |why: &str| Meaning::Nothing(why.to_owned());

        for (status, body, expected) in [
            (
                200,
                r#"{"error":[],"result":{"ZUSD":"1.0"}}"#,
                Meaning::VALID,
            ),
            (
                200,
                r#"{"error":["EAPI:Invalid key"]}"#,
                Meaning::refused("EAPI:Invalid key"),
            ),
            (
                200,
                r#"{"error":["EGeneral:Permission denied"]}"#,
                Meaning::refused("EGeneral:Permission denied"),
            ),
            (
                200,
                r#"{"error":["EAPI:Invalid nonce"]}"#,
                Meaning::WrongTime,
            ),
            (
                200,
                r#"{"error":["EService:Unavailable"]}"#,
                nothing("Kraken returns EService:Unavailable"),
            ),
            (
                200,
                r#"{"error":["<b>k3y</b>"]}"#,
                nothing("Kraken returns unknown code"),
            ),
            (
                200,
                r#"{"result":{}}"#,
                nothing("Kraken returns status 200"),
            ),
            (404, r#"{"error":[]}"#, nothing("Kraken returns status 404")),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let response = CallResponse {
                status,
                body: body.into(),
            };
            assert_eq!(meaning(&response), expected, "{body}");
        }
    }
}
