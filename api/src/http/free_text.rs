//! Large responses without the free JSON and the messages of their objects, which a repeated call reads again.
//!
//! What was booked never changes, so a trading log and a transaction are returned as they were. A sub-account has the balance
//! of that time and its present free JSON.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;
use std::collections::HashMap;
use tiris_domain::ids::UserId;
use tiris_store::error::{Error, Result};
use tiris_store::idempotency::{FreeText, Kept, free_texts};
use uuid::Uuid;

const INFO: &str = "info";
const MESSAGE: &str = "message";

/// Returns the body without the free texts of its objects.
pub(super) fn removed(body: &str) -> Result<String> {
    let mut data = parsed(body)?;
    visit(&mut data, &mut |object| {
        for name in [INFO, MESSAGE] {
            if let Some(value) = object.get_mut(name) {
                *value = Value::Null;
            }
        }
        Ok(())
    })?;
    Ok(data.to_string())
}

/// Returns the response with the free texts of its objects, some of which were booked at `booked_at`.
///
/// # Errors
/// [`Error::NotFound`] when an object was deleted.
pub(super) async fn restored(
    connection: &mut PgConnection,
    user: UserId,
    kept: Kept,
    booked_at: DateTime<Utc>,
) -> Result<Kept> {
    let mut data = parsed(&kept.body)?;
    let mut ids = Vec::new();
    visit(&mut data, &mut |object| {
        ids.push(id_of(object)?);
        Ok(())
    })?;

    let rows = free_texts(connection, user, &ids, booked_at).await?;
    let mut rows: HashMap<Uuid, FreeText> = rows.into_iter().map(|row| (row.id, row)).collect();
    visit(&mut data, &mut |object| {
        let row = rows.remove(&id_of(object)?);
        let row = row.ok_or(Error::NotFound("resource"))?;
        object.insert(INFO.to_owned(), row.info);
        if let Some(message) = object.get_mut(MESSAGE) {
            *message = row.message.into();
        }
        Ok(())
    })?;
    Ok(Kept {
        status: kept.status,
        body: data.to_string(),
    })
}

fn parsed(body: &str) -> Result<Value> {
    serde_json::from_str(body).map_err(|error| Error::Internal(error.into()))
}

fn id_of(object: &Map<String, Value>) -> Result<Uuid> {
    let id = object.get("id").and_then(Value::as_str);
    let id = id.and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| Error::internal("a stored object has no id"))
}

/// Calls `act` with each object that has free JSON: the data itself, its members, and the elements of its lists.
fn visit(
    data: &mut Value,
    act: &mut impl FnMut(&mut Map<String, Value>) -> Result<()>,
) -> Result<()> {
    let Value::Object(members) = data else {
        return Ok(());
    };

    let parts = members.iter_mut().filter(|(name, _)| *name != INFO);
    for (_, part) in parts {
        match part {
            Value::Array(elements) => {
                for element in elements {
                    visit(element, act)?;
                }
            }
            member => visit(member, act)?,
        }
    }
    if members.contains_key(INFO) {
        act(members)?;
    }
    Ok(())
}
