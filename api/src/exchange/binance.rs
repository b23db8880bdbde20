//! Binance: `GET /api/v3/account`, its query signed with HMAC-SHA-256.

use super::call::{ApiKey, ExchangeError, Meaning, get, json, secret_header};
use super::sign::{self, HmacSha256};
use crate::outgoing::CallResponse;
use bytes::Bytes;
use poem::http::{Request, StatusCode};
use secrecy::ExposeSecret;

/// Milliseconds that Binance accepts a call after its timestamp.
const RECEIVE_WINDOW_MILLIS: u32 = 5_000;
/// Codes by which Binance refuses a key or a signature: malformed key, invalid key or address, unknown key id, wrong
/// signature.
const REFUSALS: [i64; 4] = [-2014, -2015, -2008, -1022];
/// The code for a timestamp outside of the window.
const WRONG_TIME: i64 = -1021;

pub(super) fn account(
    base: &str,
    timestamp: i64,
    api: ApiKey<'_>,
) -> Result<Request<Bytes>, ExchangeError> {
    // Without empty balances the response is short.
    let query =
        format!("omitZeroBalances=true&recvWindow={RECEIVE_WINDOW_MILLIS}&timestamp={timestamp}");
    let signature = sign(api.secret.expose_secret(), &query);

    let url = format!("{base}/api/v3/account?{query}&signature={signature}");
    get(&url, [("X-MBX-APIKEY", secret_header(api.key)?)])
}

fn sign(secret: &str, query: &str) -> String {
    hex::encode(sign::sign::<HmacSha256>(
        secret.as_bytes(),
        query.as_bytes(),
    ))
}

pub(super) fn meaning(response: &CallResponse) -> Meaning {
    let body = json(&response.body);
    let status = response.status.as_u16();

    match (response.status, body["code"].as_i64()) {
        (StatusCode::OK, None) if body.is_object() => Meaning::VALID,
        (_, Some(WRONG_TIME)) => Meaning::WrongTime,
        (_, Some(code)) if REFUSALS.contains(&code) => Meaning::refused(code),
        (_, Some(code)) => {
            Meaning::Nothing(format!("Binance returns status {status} and code {code}"))
        }
        (_, None) => Meaning::Nothing(format!("Binance returns status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_example_of_the_documentation() {
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                     &timestamp=1499827319559";
        let expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(sign(secret, query), expected);
    }

    #[test]
    fn only_responses_about_the_key_are_a_verdict() {
        let nothing = |why: &str| Meaning::Nothing(why.to_owned());

        for (status, body, expected) in [
            (200, r#"{"balances":[]}"#, Meaning::VALID),
            (
                401,
                r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#,
                Meaning::refused("-2015"),
            ),
            (
                400,
                r#"{"code":-1022,"msg":"Signature for this request is not valid."}"#,
                Meaning::refused("-1022"),
            ),
            (
                400,
                r#"{"code":-1021,"msg":"outside of the recvWindow"}"#,
                Meaning::WrongTime,
            ),
            (
                429,
                r#"{"code":-1003}"#,
                nothing("Binance returns status 429 and code -1003"),
            ),
            (403, "<html>", nothing("Binance returns status 403")),
            (200, "<html>", nothing("Binance returns status 200")),
            (302, "", nothing("Binance returns status 302")),
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
