//! The filter of trading logs by their drift.

use crate::routes::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::sea_query::extension::postgres::PgExpr;
use tiris_domain::states::{DriftKind, State as _};
use tiris_domain::value::{Invalid, Schema, SchemaKind, Value};
use tiris_store::entity::trading_logs::Column;

/// The name of the filter for all kinds.
const ANY: &str = "any";
const CHOICES: [&str; DriftKind::NAMES.len() + 1] = {
    let mut choices = [ANY; DriftKind::NAMES.len() + 1];
    let mut at = 0;
    while at < DriftKind::NAMES.len() {
        choices[at + 1] = DriftKind::NAMES[at];
        at += 1;
    }
    choices
};

/// The drift of the wanted logs.
#[derive(Clone, Copy, Debug)]
pub(super) enum DriftFilter {
    /// Any kind.
    Any,
    /// This kind, perhaps beside others.
    Kind(DriftKind),
}

impl Value for DriftFilter {
    fn schema() -> Schema {
        Schema {
            choices: &CHOICES,
            description: Some("A kind of drift, or `any`."),
            ..Schema::new("DriftFilter", SchemaKind::String)
        }
    }

    fn from_json(value: serde_json::Value) -> std::result::Result<Self, Invalid> {
        match value.as_str() {
            Some(ANY) => Ok(Self::Any),
            Some(name) if DriftKind::NAMES.contains(&name) => {
                DriftKind::from_json(value).map(Self::Kind)
            }
            _ => Err(Invalid::new(format!(
                "must be one of {}",
                CHOICES.join(", ")
            ))),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Any => ANY.into(),
            Self::Kind(kind) => kind.to_json(),
        }
    }
}

/// Selects the logs with the wanted drift, all logs without it.
pub(super) fn drifting(wanted: Option<Field<DriftFilter>>) -> Condition {
    let condition = Condition::all();
    match wanted {
        None => condition,
        Some(Field(DriftFilter::Any)) => condition.add(Column::Drift.is_not_null()),
        Some(Field(DriftFilter::Kind(kind))) => {
            let kinds = vec![kind.as_str().to_owned()];
            condition
                .add(Column::Drift.is_not_null())
                .add(Expr::col(Column::Drift.as_column_ref()).contains(Expr::value(kinds)))
        }
    }
}
