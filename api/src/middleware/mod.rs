//! What happens to every request around its handler, from outside in: trace, security headers, CORS, methods of a
//! 405, envelope with error mapping and ETag, timeout.

pub(crate) mod allow;
pub(crate) mod cors;
pub(crate) mod headers;
pub(crate) mod measure;
pub(crate) mod timeout;
pub(crate) mod trace;
pub(crate) mod wrap;
