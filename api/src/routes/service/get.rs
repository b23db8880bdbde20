//! `GET /`

use crate::routes::prelude::*;

/// Get name, version and links of the service.
pub(crate) struct GetService;

impl Policy for GetService {
    const ACCESS: Access = Access::Public;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[];
}

/// Where to go on.
#[derive(Object, Serialize)]
struct Links {
    /// Swagger UI
    docs: String,
    /// OpenAPI document
    openapi: String,
    /// Whether the process runs and is ready
    health: String,
    /// Public keys of access tokens
    jwks: String,
}

/// What the service is.
#[derive(Object, Serialize)]
struct Service {
    /// Name
    name: String,
    /// Version of the running build
    version: String,
    links: Links,
}

#[OpenApi(tag = "Tag::Service")]
impl GetService {
    /// Name, version and links
    #[oai(path = "/", method = "get", operation_id = "getService")]
    async fn get(&self, _caller: Anyone<Self>) -> Answer<Service, Self> {
        Ok(Reply::read(Service {
            name: "Tiris API".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            links: Links {
                docs: "/docs".to_owned(),
                openapi: "/openapi.json".to_owned(),
                health: "/health/ready".to_owned(),
                jwks: "/.well-known/jwks.json".to_owned(),
            },
        }))
    }
}
