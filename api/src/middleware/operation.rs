//! The operation that answered a request.

use poem::{PathPattern, Response};

/// Requests that match no route: their paths are the caller's and without bound.
pub(super) const UNMATCHED: &str = "unmatched";

/// The path of the operation that answered, as the document has it.
pub(super) fn operation(response: &Response) -> String {
    let pattern = response.data::<PathPattern>();
    // The framework numbers the parameters of a path; ours are all ids.
    pattern.map_or_else(
        || UNMATCHED.to_owned(),
        |pattern| pattern.0.replace(":param0", "{id}"),
    )
}
