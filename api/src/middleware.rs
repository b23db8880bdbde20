//! The middleware around every handler. `router` lists the layers in their order.

pub(crate) mod cors;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod measure;
pub(crate) mod repeat;
pub(crate) mod timeout;
pub(crate) mod trace;
