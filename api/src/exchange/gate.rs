//! Gate.io: `GET /api/v4/spot/accounts`, method, path, query, hash of the body and time signed with HMAC-SHA-512.

use super::call::{ApiKey, ExchangeError, Http, Meaning, Verdict, code_of, json, secret_header};
use super::clock::Clock;
use super::sign::hmac_sha512;
use crate::outgoing::Answered;
use bytes::Bytes;
use poem::http::{Request, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::{Digest, Sha512};

const PATH: &str = "/api/v4/spot/accounts";
const TIME_PATH: &str = "/api/v4/spot/time";
/// By these Gate.io refuses a key, a signature, or what the key may do.
const REFUSALS: [&str; 6] = [
    "INVALID_KEY",
    "INVALID_SIGNATURE",
    "INVALID_CREDENTIALS",
    "FORBIDDEN",
    "IP_FORBIDDEN",
    "READ_ONLY",
];
const WRONG_TIME: &str = "REQUEST_EXPIRED";

pub(super) struct Gate {
    base: String,
    clock: Clock,
}

impl Gate {
    pub(super) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            clock: Clock::default(),
        }
    }

    pub(super) async fn verify(
        &self,
        http: &Http,
        api: ApiKey<'_>,
    ) -> Result<Verdict, ExchangeError> {
        let time = format!("{}{TIME_PATH}", self.base);
        let learn = self.clock.learn(http, &time, "server_time");
        http.verdict(|| self.accounts(api), meaning, learn).await
    }

    fn accounts(&self, api: ApiKey<'_>) -> Result<Request<Bytes>, ExchangeError> {
        let seconds = (self.clock.now_millis() / 1_000).to_string();
        let signature = sign(api.secret.expose_secret(), "GET", (PATH, ""), &seconds);

        let request = Request::get(format!("{}{PATH}", self.base))
            .header("KEY", secret_header(api.key)?)
            .header("Timestamp", seconds)
            .header("SIGN", signature)
            .body(Bytes::new());
        request.map_err(ExchangeError::unreachable)
    }
}

/// The signature of a call without a body.
fn sign(secret: &str, method: &str, (path, query): (&str, &str), seconds: &str) -> String {
    let body = hex::encode(Sha512::digest(b""));
    let message = format!("{method}\n{path}\n{query}\n{body}\n{seconds}");
    hex::encode(hmac_sha512(secret.as_bytes(), message.as_bytes()))
}

fn meaning(answer: &Answered) -> Meaning {
    let body = json(&answer.body);
    match (answer.status, body["label"].as_str()) {
        (StatusCode::OK, None) if matches!(body, Value::Array(_)) => Meaning::VALID,
        (_, Some(WRONG_TIME)) => Meaning::WrongTime,
        (_, Some(label)) if REFUSALS.contains(&label) => Meaning::refused(label),
        (_, Some(label)) => Meaning::Nothing(format!("Gate.io answers {}", code_of(label))),
        (status, None) => {
            Meaning::Nothing(format!("Gate.io answers with status {}", status.as_u16()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_example_in_gates_documentation() {
        let request = (
            "/api/v4/futures/orders",
            "contract=BTC_USD&status=finished&limit=50",
        );
        let expected = "55f84ea195d6fe57ce62464daaa7c3c02fa9d1dde954e4c898289c9a2407a3d6\
                        fb3faf24deff16790d726b66ac9f74526668b13bd01029199cc4fcc522418b8a";
        assert_eq!(sign("secret", "GET", request, "1541993715"), expected);
    }

    #[test]
    fn only_answers_about_the_key_are_a_verdict() {
        let nothing = |why: &str| Meaning::Nothing(why.to_owned());

        for (status, body, expected) in [
            (
                200,
                r#"[{"currency":"BTC","available":"1","locked":"0"}]"#,
                Meaning::VALID,
            ),
            (
                401,
                r#"{"label":"INVALID_KEY","message":"Invalid key provided"}"#,
                Meaning::refused("INVALID_KEY"),
            ),
            (
                401,
                r#"{"label":"INVALID_SIGNATURE"}"#,
                Meaning::refused("INVALID_SIGNATURE"),
            ),
            (
                403,
                r#"{"label":"FORBIDDEN"}"#,
                Meaning::refused("FORBIDDEN"),
            ),
            (403, r#"{"label":"REQUEST_EXPIRED"}"#, Meaning::WrongTime),
            (
                429,
                r#"{"label":"TOO_MANY_REQUESTS"}"#,
                nothing("Gate.io answers TOO_MANY_REQUESTS"),
            ),
            (200, "{}", nothing("Gate.io answers with status 200")),
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
