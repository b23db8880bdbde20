//! Changes of users in the audit trail.

use tiris_domain::ids::UserId;
use tiris_store::audit::Action;

/// The action `name` on a user.
pub(super) fn action(name: &str, user: UserId) -> Action<'_> {
    Action {
        name,
        resource: "user",
        id: Some(user.to_string()),
        before: None,
        after: None,
    }
}
