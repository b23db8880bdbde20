//! Exchange bindings.
use poem_openapi::Object;
use serde::Serialize;
use tiris_store::entity::exchange_bindings::Model;
use tiris_store::error::Error;
use uuid::Uuid;
#[derive(Object, Serialize)]
pub(in crate::routes) struct BindingSummary {
    id: Uuid,
    name: String,
}
impl TryFrom<Model> for BindingSummary {
    type Error = Error;
    fn try_from(m: Model) -> Result<Self, Error> {
        Ok(Self {
            id: m.id,
            name: m.name,
        })
    }
}
