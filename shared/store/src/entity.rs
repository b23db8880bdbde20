//! Entities for the lists of the API, one file per table; `migrations/sql` documents their columns.
//!
//! Lists with dynamic filters use entities, and statements that return whole rows use their models. Other statements have
//! row structs of their own, and tables that only such statements use have no entity.
#![allow(
    missing_docs,
    reason = "the derived items and most columns have nothing to add to their names"
)]

macro_rules! without_relations {
    () => {
        /// Relations that queries follow: none.
        #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}

        impl ActiveModelBehavior for ActiveModel {}
    };
}

pub mod audit_logs;
pub mod bots;
pub mod dead_letters;
pub mod exchange_bindings;
pub mod holds;
pub mod orders;
pub mod sessions;
pub mod sub_accounts;
pub mod trading_logs;
pub mod tradings;
pub mod transactions;
pub mod users;
