//! Dead letters: events that could not be applied. Users read their own; admins replay and discard.

mod discard;
mod effect;
mod get;
mod list;
mod object;
mod replay;
mod selection;

use super::prelude::*;
use tiris_store::entity::dead_letters::Column;

/// A closed dead letter cannot be closed again.
const NOT_OPEN: Refusal = (
    409,
    "`LETTER_NOT_OPEN`: the dead letter was replayed or discarded before",
);

pub(super) fn operations() -> impl OpenApi {
    (
        list::ListDeadLetters,
        get::GetDeadLetter,
        replay::ReplayDeadLetter,
        discard::DiscardDeadLetter,
        replay::ReplayDeadLetters,
        discard::DiscardDeadLetters,
    )
}

/// Selects all dead letters for admins, their own for other users.
fn visible<P>(caller: &Caller<P>) -> Condition {
    if caller.is_admin() {
        Condition::all()
    } else {
        Condition::all().add(Column::UserId.eq(caller.user().0))
    }
}
