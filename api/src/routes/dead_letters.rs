//! Dead letters: events that could not be applied. Users read, replay and discard their own, admins all.

mod discard;
mod effect;
mod get;
mod list;
pub(super) mod object;
mod replay;
mod selection;

use super::prelude::*;
use tiris_store::dead_letters::{Actor, Filter};
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

/// Returns the caller as the actor that closes dead letters: users close only their own.
fn actor<P>(caller: &Caller<P>) -> Actor {
    if caller.is_admin() {
        Actor::Admin(caller.user())
    } else {
        Actor::Owner(caller.user())
    }
}

/// Restricts a filter to the dead letters of a caller who is not an admin.
fn restricted<P>(filter: Filter, caller: &Caller<P>) -> Filter {
    Filter {
        owner: (!caller.is_admin()).then_some(caller.user().0),
        ..filter
    }
}

/// Selects all dead letters for admins, their own for other users.
fn visible<P>(caller: &Caller<P>) -> Condition {
    if caller.is_admin() {
        Condition::all()
    } else {
        Condition::all().add(Column::UserId.eq(caller.user().0))
    }
}
