//! Gate.io: `GET /api/v4/spot/accounts`; method, path, query, hash of the body and time signed with HMAC-SHA-512.

use super::call::{ApiKey, ExchangeError, Meaning, code_of, get, json, secret_header};
use super::sign::{self, HmacSha512};
use crate::outgoing::CallResponse;
use bytes::Bytes;
use poem::http::{HeaderValue, Request, StatusCode};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha512};

const PATH: &str = "/api/v4/spot/accounts";
/// Labels by which Gate.io refuses a key, a signature, or the permissions of a key.
const REFUSALS: [&str; 6] = [
    "INVALID_KEY",
    "INVALID_SIGNATURE",
    "INVALID_CREDENTIALS",
    "FORBIDDEN",
    "IP_FORBIDDEN",
    "READ_ONLY",
];
const WRONG_TIME: &str = "REQUEST_EXPIRED";

pub(super) fn accounts(
    base: &str,
    millis: i64,
    api: ApiKey<'_>,
) -> Result<Request<Bytes>, ExchangeError> {
    let seconds = (millis / 1_000).to_string();
    let signature = sign(api.secret.expose_secret(), "GET", (PATH, ""), &seconds);
    let text = |text: String| HeaderValue::try_from(text).map_err(ExchangeError::unreachable);

    let headers = [
        ("KEY", secret_header(api.key)?),
        ("Timestamp", text(seconds)?),
        ("SIGN", text(signature)?),
    ];
    get(&format!("{base}{PATH}"), headers)
}

/// Returns the signature of a call without a body.
fn sign(secret: &str, method: &str, (path, query): (&str, &str), seconds: &str) -> String {
    let body = hex::encode(Sha512::digest(b""));
    let message = format!("{method}\n{path}\n{query}\n{body}\n{seconds}");
    hex::encode(sign::sign::<HmacSha512>(
        secret.as_bytes(),
        message.as_bytes(),
    ))
}

pub(super) fn meaning(response: &CallResponse) -> Meaning {
    let body = json(&response.body);
    match (response.status, body["label"].as_str()) {
        (StatusCode::OK, None) if body.is_array() => Meaning::VALID,
        (_, Some(WRONG_TIME)) => Meaning::WrongTime,
        (_, Some(label)) if REFUSALS.contains(&label) => Meaning::refused(label),
        (_, Some(label)) => Meaning::Nothing(format!("Gate.io returns {}", code_of(label))),
        (status, None) => Meaning::Nothing(format!("Gate.io returns status {}", status.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_example_of_the_documentation() {
        let request = (
            "/api/v4/futures/orders",
            "contract=BTC_USD&status=finished&limit=50",
        );
        let expected = "55f84ea195d6fe57ce62464daaa7c3c02fa9d1dde954e4c898289c9a2407a3d6\
                        fb3faf24deff16790d726b66ac9f74526668b13bd01029199cc4fcc522418b8a";
        assert_eq!(sign("secret", "GET", request, "1541993715"), expected);
    }

    #[test]
    fn only_responses_about_the_key_are_a_verdict() {
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
                nothing("Gate.io returns TOO_MANY_REQUESTS"),
            ),
            (200, "{}", nothing("Gate.io returns status 200")),
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
