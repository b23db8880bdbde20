//! All routes and the order of the middleware around them.

use super::client::{self, Proxies};
use super::document::{self, Methods};
use super::limit;
use super::parameters::Parameters;
use super::rate::Limits;
use super::respond;
use crate::auth::keys::Keys;
use crate::middleware::cors::Cors;
use crate::middleware::{headers, host, measure, repeat, timeout, trace};
use crate::routes::operations;
use crate::settings::Settings;
use crate::state::State;
use bytes::Bytes;
use poem::endpoint::{BoxEndpoint, make_sync};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, Response, Route, get};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService, ServerObject};
use std::sync::Arc;
use tiris_runtime::config::Environment;

/// Returns the documented operations.
pub(crate) fn service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(operations(), "Tiris API", env!("CARGO_PKG_VERSION"))
        .description(document::introduction())
        .license(
            LicenseObject::new("Apache-2.0").url("https://www.apache.org/licenses/LICENSE-2.0"),
        )
        .server(ServerObject::new("/"))
}

/// Returns the endpoint of the API listener.
pub(crate) fn endpoint(
    settings: &Settings,
    state: State,
    keys: &Keys,
) -> BoxEndpoint<'static, Response> {
    let service = service();
    let generated = service.spec();
    let document = document::completed(&generated);
    let page = Bytes::from(service.swagger_ui_html().replace(&generated, &document));
    let operations = Arc::new(Methods::of(&document));
    let parameters = Arc::new(Parameters::of(&document));
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
        // A layer holds the state of all layers below it; boxing some of them keeps it from outgrowing the stack.
        .boxed()
        .around(repeat::repeat)
        .around(move |next, request| timeout::bound(next, request, time))
        .with(CatchPanic::new().with_handler(respond::panicked))
        .around(host::require)
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
        .data(parameters)
        .boxed()
}

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// Serves a document without the envelope.
fn bare(media_type: &'static str, document: impl Into<Bytes>) -> impl Endpoint<Output = Response> {
    let document = document.into();
    make_sync(move |_| {
        Response::builder()
            .content_type(media_type)
            .body(document.clone())
    })
}
