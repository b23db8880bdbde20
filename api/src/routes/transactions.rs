//! Transactions: every change of every balance. They are append-only, so no operation changes one.

mod export;
mod filters;
mod get;
mod list;
pub(super) mod object;
pub(super) mod owned;

use poem_openapi::OpenApi;

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListTransactions,
        export::ExportTransactions,
        get::GetTransaction,
    )
}
