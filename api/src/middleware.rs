//! What happens to every request around its handler, from outside in: whose request it is, metrics, trace, security
//! headers, CORS, methods of a 405, telling the rate limit, envelope with error mapping and ETag, counting against the
//! rate limit, timeout, waking of live streams.

pub(crate) mod cors;
pub(crate) mod headers;
pub(crate) mod measure;
mod operation;
pub(crate) mod timeout;
pub(crate) mod trace;
