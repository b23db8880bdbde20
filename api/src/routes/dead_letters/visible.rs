//! Which dead letters a caller sees.

use crate::auth::Caller;
use sea_orm::{ColumnTrait, Condition};
use tiris_store::entity::dead_letters::Column;

/// All letters for admins, their own for others.
pub(super) fn visible<P>(caller: &Caller<P>) -> Condition {
    if caller.is_admin() {
        Condition::all()
    } else {
        Condition::all().add(Column::UserId.eq(caller.user().0))
    }
}
