//! All routes, and what surrounds them.
//!
//! Owns: which path leads where and the order of the middleware. Must not know: what happens there.

use super::client::{self, Proxies};
use super::document::{self, Methods};
use super::limit;
use super::rate::Limits;
use super::respond;
use crate::auth::keys::Keys;
use crate::middleware::cors::Cors;
use crate::middleware::{headers, measure, timeout, trace};
use crate::routes::{OPERATIONS, Operations};
use crate::settings::Settings;
use crate::state::State;
use bytes::Bytes;
use poem::endpoint::{BoxEndpoint, make_sync};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, Response, Route, get};
use poem_openapi::{LicenseObject, OpenApiService, ServerObject};
use std::sync::Arc;
use tiris_runtime::config::Environment;

/// The documented operations.
pub(crate) fn service() -> OpenApiService<Operations, ()> {
    OpenApiService::new(OPERATIONS, "Tiris API", env!("CARGO_PKG_VERSION"))
        .description(
            "Tradings, sub-accounts and their books. Money is a string with at most 12 decimal places, times are \
             RFC 3339 in UTC, ids are UUIDs. Every answer is wrapped: `{\"success\", \"data\", \"metadata\"}` or \
             `{\"success\", \"error\", \"metadata\"}`. Every operation but health is limited, by user or by address; its \
             answers carry `X-RateLimit-Limit` (requests a minute), `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds \
             until the whole allowance is there again).",
        )
        .license(LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"))
        .server(ServerObject::new("/"))
}

/// Everything the API listener answers.
pub(crate) fn endpoint(
    settings: &Settings,
    state: State,
    keys: &Keys,
) -> BoxEndpoint<'static, Response> {
    let service = service();
    let made = service.spec();
    let document = document::completed(&made);
    let page = Bytes::from(service.swagger_ui_html().replace(&made, &document));
    let operations = Arc::new(Methods::of(&document));
    let cors = Cors::new(
        &settings.cors_origins,
        settings.service.environment == Environment::Dev,
    );
    let time = settings.request_timeout;
    let limits = Arc::new(Limits::new(settings.protection.rates));
    let proxies = Proxies::new(&settings.protection.trusted_proxies);

    Route::new()
        .at("/openapi.json", get(bare(JSON, document)))
        .at(
            "/.well-known/jwks.json",
            get(bare(JSON, keys.jwks().to_string())),
        )
        .at("/docs", get(bare(HTML, page.clone())))
        .at("/docs/", get(bare(HTML, page)))
        .nest("/", service)
        // Each layer holds the state of all below it; put on the heap here and there, it does not outgrow a stack.
        .boxed()
        .around(move |next, request| timeout::bound(next, request, time))
        .with(CatchPanic::new().with_handler(respond::panicked))
        .around(limit::charge_rest)
        .around(respond::respond)
        .boxed()
        .around(move |next, request| limit::report(next, request, Arc::clone(&limits)))
        .around(move |next, request| respond::allow(next, request, Arc::clone(&operations)))
        .around(move |next, request| cors.clone().apply(next, request))
        .around(headers::secure)
        .boxed()
        .around(trace::trace)
        .around(measure::measure)
        .around(move |next, request| client::attach(next, request, proxies.clone()))
        .data(state)
        .boxed()
}

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// A document that is not wrapped.
fn bare(media_type: &'static str, document: impl Into<Bytes>) -> impl Endpoint<Output = Response> {
    let document = document.into();
    make_sync(move |_| {
        Response::builder()
            .content_type(media_type)
            .body(document.clone())
    })
}
