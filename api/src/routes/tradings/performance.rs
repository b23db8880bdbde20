//! `GET /v1/tradings/{id}/performance` and `GET /v1/tradings/{id}/equity`

mod equity;
mod measure;
mod object;
mod summary;

pub(super) use equity::GetEquity;
pub(super) use summary::GetPerformance;
