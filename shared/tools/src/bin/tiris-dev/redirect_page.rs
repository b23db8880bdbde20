//! The page a login by hand returns to, which shows what to send to the callback and stores nothing.

use anyhow::{Context, Result};
use poem::endpoint::make_sync;
use poem::http::header;
use poem::listener::{Listener, TcpListener};
use poem::middleware::SetHeader;
use poem::{Endpoint, EndpointExt, Response, Route, Server, get};
use tokio::task::JoinHandle;

pub(crate) const PATH: &str = "/callback";
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const HTML: &str = include_str!("redirect-page/page.html");
const SCRIPT: &str = include_str!("redirect-page/page.js");
const STYLE: &str = include_str!("redirect-page/page.css");
/// Path, content type and content.
const FILES: [(&str, &str, &str); 3] = [
    (PATH, "text/html; charset=utf-8", HTML),
    ("/page.js", "text/javascript; charset=utf-8", SCRIPT),
    ("/page.css", "text/css; charset=utf-8", STYLE),
];

/// The served page. Dropping it ends the server.
#[derive(Debug)]
pub(crate) struct RedirectPage(JoinHandle<std::io::Result<()>>);

impl RedirectPage {
    pub(crate) async fn serve(port: u16) -> Result<Self> {
        let acceptor = TcpListener::bind(("127.0.0.1", port)).into_acceptor().await;
        let acceptor = acceptor.with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
        let server = Server::new_with_acceptor(acceptor).run(app());
        Ok(Self(tokio::spawn(server)))
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
    let mut route = Route::new();
    for (path, content_type, content) in FILES {
        let file = make_sync(move |_| Response::builder().content_type(content_type).body(content));
        route = route.at(path, get(file));
    }
    route.with(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use poem::Request;

    #[tokio::test]
    async fn every_file_has_a_strict_policy_and_ignores_the_query() {
        for (path, _, content) in FILES {
            let uri = format!("{path}?code=%3Cscript%3E").parse().unwrap();
            let request = Request::builder().uri(uri).finish();
            let response = app().get_response(request).await;
            let headers = response.headers();
            assert_eq!(headers["content-security-policy"], POLICY, "{path}");
            assert_eq!(headers["cache-control"], "no-store", "{path}");

            let body = response.into_body().into_string().await.unwrap();
            assert_eq!(body, content, "{path}");
        }
    }

    #[test]
    fn the_page_runs_no_inline_code_and_stores_nothing() {
        for inline in ["onclick", "<style", "<script>"] {
            assert!(!HTML.contains(inline), "{inline}");
        }
        for unsafe_call in ["innerHTML", "Storage", "fetch("] {
            assert!(!SCRIPT.contains(unsafe_call), "{unsafe_call}");
        }
    }
}
