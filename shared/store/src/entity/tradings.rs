//! Sets of sub-accounts that a bot works on: real, on paper or a backtest.

use sea_orm::entity::prelude::*;

/// Row of `tradings`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, sqlx::FromRow)]
#[sea_orm(table_name = "tradings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub user_id: Uuid,
    pub exchange_binding_id: Option<Uuid>,
    pub name: String,
    pub r#type: String,
    pub status: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub info: Json,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// References to other tables.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::exchange_bindings::Entity",
        from = "Column::ExchangeBindingId",
        to = "super::exchange_bindings::Column::Id"
    )]
    ExchangeBinding,
}

impl Related<super::exchange_bindings::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::ExchangeBinding.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
