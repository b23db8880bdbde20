//! All routes, and what surrounds them.
//!
//! Owns: which path leads where and the order of the middleware. Must not know: what happens there.

use crate::auth::keys::Keys;
use crate::middleware::cors::Cors;
use crate::middleware::{headers, measure, timeout, trace, wrap};
use crate::resource::{ExchangeBindings, Root, SubAccounts, TradingLogs, Tradings, Transactions, Users};
use crate::settings::Settings;
use crate::state::State;
use poem::endpoint::{BoxEndpoint, make_sync};
use poem::{Endpoint, EndpointExt, Response, Route, get};
use poem_openapi::{OpenApiService, ServerObject};
use tiris_shared::config::Environment;

type Api = (Root, Users, ExchangeBindings, Tradings, SubAccounts, Transactions, TradingLogs);

/// The documented operations.
pub(crate) fn service() -> OpenApiService<Api, ()> {
    let api = (Root, Users, ExchangeBindings, Tradings, SubAccounts, Transactions, TradingLogs);
    OpenApiService::new(api, "Tiris API", env!("CARGO_PKG_VERSION"))
        .description(
            "Tradings, sub-accounts and their books. Money is a string with at most 12 decimal places, times are \
             RFC 3339 in UTC, ids are UUIDs. Every answer is wrapped: `{\"success\", \"data\", \"metadata\"}` or \
             `{\"success\", \"error\", \"metadata\"}`.",
        )
        .server(ServerObject::new("/"))
}

/// Everything the API listener answers.
pub(crate) fn endpoint(settings: &Settings, state: State, keys: &Keys) -> BoxEndpoint<'static, Response> {
    let service = service();
    let cors = Cors::new(&settings.cors_origins, settings.service.environment == Environment::Dev);
    let limit = settings.request_timeout;
    Route::new()
        .at("/openapi.json", get(bare_json(service.spec())))
        .at("/.well-known/jwks.json", get(bare_json(keys.jwks().to_string())))
        .nest("/docs", service.swagger_ui())
        .nest("/", service)
        .around(move |next, request| timeout::bound(next, request, limit))
        .around(wrap::wrap)
        .around(move |next, request| cors.clone().apply(next, request))
        .around(headers::secure)
        .around(trace::trace)
        .around(measure::measure)
        .data(state)
        .boxed()
}

/// A JSON document that is not wrapped.
fn bare_json(document: String) -> impl Endpoint<Output = Response> {
    make_sync(move |_| Response::builder().content_type("application/json").body(document.clone()))
}
