//! Kraken: `POST /0/private/Balance`, path, nonce and form signed with HMAC-SHA-512 under the decoded secret.

use super::call::{ApiKey, ExchangeError, Http, Meaning, Verdict, code_of, json, secret_header};
use super::sign::{hmac_sha512, now_millis};
use crate::outgoing::Answered;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use poem::http::{Request, StatusCode, header};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

const PATH: &str = "/0/private/Balance";
/// By these Kraken refuses a key, a signature, or what the key may do.
const REFUSALS: [&str; 3] = [
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EGeneral:Permission denied",
];
const WRONG_NONCE: &str = "EAPI:Invalid nonce";

pub(super) struct Kraken {
    base: String,
    last_nonce: AtomicU64,
}

impl Kraken {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            last_nonce: AtomicU64::new(0),
        }
    }

    pub(super) async fn verify(
        &self,
        http: &Http,
        api: ApiKey<'_>,
    ) -> Result<Verdict, ExchangeError> {
        let Ok(secret) = STANDARD
            .decode(api.secret.expose_secret())
            .map(Zeroizing::new)
        else {
            return Ok(Verdict::Refused("the API secret is no base64".to_owned()));
        };

        // Nothing to correct: another of our processes may have used a later nonce at the same moment.
        let make = || self.balance(api, &secret);
        http.verdict(make, meaning, std::future::ready(Ok(())))
            .await
    }

    /// A number greater than every one before. In milliseconds, as most programs have it: Kraken remembers the greatest
    /// nonce of a key, so finer ones would shut out the owner's own bot for good.
    fn nonce(&self) -> u64 {
        let now = u64::try_from(now_millis()).unwrap_or_default();
        let next = |last: u64| now.max(last + 1);
        next(
            self.last_nonce
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                    Some(next(last))
                })
                .unwrap_or_default(),
        )
    }

    fn balance(&self, api: ApiKey<'_>, secret: &[u8]) -> Result<Request<Bytes>, ExchangeError> {
        let nonce = self.nonce().to_string();
        let form = format!("nonce={nonce}");

        let request = Request::post(format!("{}{PATH}", self.base))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("API-Key", secret_header(api.key)?)
            .header("API-Sign", sign(secret, PATH, &nonce, &form))
            .body(Bytes::from(form));
        request.map_err(ExchangeError::unreachable)
    }
}

fn sign(secret: &[u8], path: &str, nonce: &str, form: &str) -> String {
    let digest = Sha256::digest(format!("{nonce}{form}"));
    STANDARD.encode(hmac_sha512(
        secret,
        &[path.as_bytes(), &digest[..]].concat(),
    ))
}

fn meaning(answer: &Answered) -> Meaning {
    let body = json(&answer.body);
    let errors = body["error"]
        .as_array()
        .filter(|_| answer.status == StatusCode::OK);
    let Some(errors) = errors else {
        let status = answer.status.as_u16();
        return Meaning::Nothing(format!("Kraken answers with status {status}"));
    };

    match errors
        .first()
        .map(|error| error.as_str().unwrap_or_default())
    {
        None => Meaning::VALID,
        Some(WRONG_NONCE) => Meaning::WrongTime,
        Some(code) if REFUSALS.contains(&code) => Meaning::refused(code),
        Some(code) => Meaning::Nothing(format!("Kraken answers {}", code_of(code))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_example_in_krakens_documentation() {
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
    fn nonces_rise_also_within_a_millisecond() {
        let kraken = Kraken::new("");
        let nonces: Vec<u64> = (0..1_000).map(|_| kraken.nonce()).collect();
        assert!(nonces.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(
            nonces[0] > 1_600_000_000_000 && nonces[999] < 16_000_000_000_000,
            "milliseconds"
        );
    }

    #[test]
    fn only_answers_about_the_key_are_a_verdict() {
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
                nothing("Kraken answers EService:Unavailable"),
            ),
            (
                200,
                r#"{"error":["<b>k3y</b>"]}"#,
                nothing("Kraken answers unknown code"),
            ),
            (
                200,
                r#"{"result":{}}"#,
                nothing("Kraken answers with status 200"),
            ),
            (
                404,
                r#"{"error":[]}"#,
                nothing("Kraken answers with status 404"),
            ),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            let answer = Answered {
                status,
                body: body.into(),
            };
            assert_eq!(meaning(&answer), expected, "{body}");
        }
    }
}
