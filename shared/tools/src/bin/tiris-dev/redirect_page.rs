//! The page a login by hand comes back to, which shows what to send to the callback.
//!
//! Owns: serving it on 127.0.0.1. Must not know: what a login is; nothing of it is kept here.

use anyhow::{Context, Result};
use poem::endpoint::make_sync;
use poem::http::header;
use poem::listener::{Listener, TcpListener};
use poem::middleware::SetHeader;
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};
use tokio::task::JoinHandle;

/// Where it is.
pub(crate) const PATH: &str = "/callback";
const HTML: &str = include_str!("redirect-page/page.html");
const SCRIPT: &str = include_str!("redirect-page/page.js");
const STYLE: &str = include_str!("redirect-page/page.css");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The page while it is served: until this is dropped.
#[derive(Debug)]
pub(crate) struct RedirectPage(JoinHandle<std::io::Result<()>>);

impl RedirectPage {
    pub(crate) async fn serve(port: u16) -> Result<Self> {
        let acceptor = TcpListener::bind(("127.0.0.1", port)).into_acceptor().await;
        let acceptor = acceptor.with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        Ok(Self(tokio::spawn(
            Server::new_with_acceptor(acceptor).run(app()),
        )))
    }
}

impl Drop for RedirectPage {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn app() -> impl Endpoint {
    let headers = SetHeader::new()
        .overriding(header::CONTENT_SECURITY_POLICY, POLICY)
        .overriding(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .overriding(header::REFERRER_POLICY, "no-referrer")
        .overriding(header::CACHE_CONTROL, "no-store");
    Route::new()
        .at(PATH, get(page("text/html; charset=utf-8", HTML)))
        .at(
            "/page.js",
            get(page("text/javascript; charset=utf-8", SCRIPT)),
        )
        .at("/page.css", get(page("text/css; charset=utf-8", STYLE)))
        .with(headers)
}

fn page(content_type: &'static str, body: &'static str) -> impl Endpoint {
    make_sync(move |_| Response::builder().content_type(content_type).body(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::Request;

    #[tokio::test]
    async fn the_page_and_what_it_loads_come_with_a_policy_that_lets_nothing_else_in() {
        for (path, text) in [(PATH, HTML), ("/page.js", SCRIPT), ("/page.css", STYLE)] {
            let uri = format!("{path}?code=%3Cscript%3E").parse().unwrap();
            let response = app()
                .get_response(Request::builder().uri(uri).finish())
                .await;
            assert_eq!(
                response.headers()["content-security-policy"],
                POLICY,
                "{path}"
            );
            assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
            assert_eq!(
                response.into_body().into_string().await.unwrap(),
                text,
                "{path}: the same for everybody"
            );
        }

        assert!(
            !HTML.contains("onclick") && !HTML.contains("<style") && !HTML.contains("<script>")
        );

        assert!(
            !SCRIPT.contains("innerHTML")
                && !SCRIPT.contains("Storage")
                && !SCRIPT.contains("fetch(")
        );
    }
}
