//! What every operation is written with.

pub(crate) use super::{EXAMPLE_ID, Message, Tag};
pub(crate) use crate::auth::{Anyone, Caller};
pub(crate) use crate::http::body::JsonBody;
pub(crate) use crate::http::field::Field;
pub(crate) use crate::http::idempotency::Idempotency;
pub(crate) use crate::http::if_match::IfMatch;
pub(crate) use crate::http::json::Unknown;
pub(crate) use crate::http::policy::*;
pub(crate) use crate::http::rate::Class;
pub(crate) use crate::http::reply::{Answer, Made, Reply};
pub(crate) use crate::http::transaction::Tx;
pub(crate) use crate::state::State;
pub(crate) use chrono::{DateTime, Utc};
pub(crate) use poem::web::Data;
pub(crate) use poem_openapi::param::{Path, Query};
pub(crate) use poem_openapi::types::Example;
pub(crate) use poem_openapi::{Enum, Object, OpenApi};
pub(crate) use serde::{Deserialize, Serialize};
pub(crate) use tiris_store::error::{Conflict, Error, Result};
pub(crate) use uuid::Uuid;
