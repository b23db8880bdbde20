//! Binance: `GET /api/v3/account`, its query signed with HMAC-SHA-256.

use super::call::{ApiKey, ExchangeError, Http, Meaning, Verdict, json, secret_header};
use super::clock::Clock;
use super::sign::hmac_sha256;
use crate::outgoing::Answered;
use bytes::Bytes;
use poem::http::{Request, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Milliseconds a call stays valid at Binance.
const RECEIVE_WINDOW_MILLIS: u32 = 5_000;
/// Codes by which Binance refuses a key or a signature: malformed key, invalid key or address, unknown key id, wrong
/// signature.
const REFUSALS: [i64; 4] = [-2014, -2015, -2008, -1022];
/// The code of a time outside of the window.
const WRONG_TIME: i64 = -1021;

pub(super) struct Binance {
    base: String,
    clock: Clock,
}

impl Binance {
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
        let time = format!("{}/api/v3/time", self.base);
        let learn = self.clock.learn(http, &time, "serverTime");
        http.verdict(|| self.account(api), meaning, learn).await
    }

    fn account(&self, api: ApiKey<'_>) -> Result<Request<Bytes>, ExchangeError> {
        let timestamp = self.clock.now_millis();
        // Without the assets the account does not hold, the answer is short.
        let query = format!(
            "omitZeroBalances=true&recvWindow={RECEIVE_WINDOW_MILLIS}&timestamp={timestamp}"
        );

        let signature = sign(api.secret.expose_secret(), &query);
        let uri = format!("{}/api/v3/account?{query}&signature={signature}", self.base);

        let request = Request::get(uri)
            .header("X-MBX-APIKEY", secret_header(api.key)?)
            .body(Bytes::new());
        request.map_err(ExchangeError::unreachable)
    }
}

fn sign(secret: &str, query: &str) -> String {
    hex::encode(hmac_sha256(secret.as_bytes(), query.as_bytes()))
}

fn meaning(answer: &Answered) -> Meaning {
    let body = json(&answer.body);
    let status = answer.status.as_u16();

    match (answer.status, body["code"].as_i64()) {
        (StatusCode::OK, None) if matches!(body, Value::Object(_)) => Meaning::VALID,
        (_, Some(WRONG_TIME)) => Meaning::WrongTime,
        (_, Some(code)) if REFUSALS.contains(&code) => Meaning::refused(code),
        (_, Some(code)) => Meaning::Nothing(format!(
            "Binance answers with status {status} and code {code}"
        )),
        (_, None) => Meaning::Nothing(format!("Binance answers with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_example_in_binances_documentation() {
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        let query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
                     &timestamp=1499827319559";
        let expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert_eq!(sign(secret, query), expected);
    }

    #[test]
    fn only_answers_about_the_key_are_a_verdict() {
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
                nothing("Binance answers with status 429 and code -1003"),
            ),
            (403, "<html>", nothing("Binance answers with status 403")),
            (200, "<html>", nothing("Binance answers with status 200")),
            (302, "", nothing("Binance answers with status 302")),
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
