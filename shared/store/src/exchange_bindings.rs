//! Exchange bindings.
use crate::error::{Error, Result};
use sqlx::PgConnection;
use tiris_domain::ids::{BindingId, UserId};
/// Locks.
pub async fn share(_c: &mut PgConnection, _u: UserId, _id: BindingId) -> Result<()> {
    Err(Error::internal("x"))
}
