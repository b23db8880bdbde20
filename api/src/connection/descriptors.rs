//! How many connections the system lets the process have.
//!
//! Owns: the limit on file descriptors. Must not know: connections.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors for whatever is no connection of a client: the pool of the database, the log, calls to providers.
const OTHERS: u64 = 512;

/// Raises the limit as far as it goes, and answers for how many of the wanted connections there is room. Without room
/// for the rest a crowd of clients would cut the process off its database.
pub(crate) fn room_for(connections: u32) -> u32 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return connections;
    };

    let raised = needed(connections).clamp(soft, hard.max(soft));
    let limit = if setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        raised
    } else {
        soft
    };

    let fitting = fitting(connections, limit);
    if fitting < connections {
        let why = "the limit on open files leaves room for fewer than TIRIS_CONNECTIONS";
        tracing::warn!(limit, fitting, "{why}");
    }
    fitting
}

fn needed(connections: u32) -> u64 {
    u64::from(connections) + OTHERS
}

/// How many fit; under a limit that is very low half of it is for clients.
fn fitting(connections: u32, limit: u64) -> u32 {
    let room = limit.saturating_sub(OTHERS).max(limit / 2).max(1);
    u32::try_from(room).unwrap_or(u32::MAX).min(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_connection_keeps_its_room() {
        for (connections, limit, expected) in [
            (8_192, 100_000, 8_192),
            (8_192, 8_704, 8_192),
            (8_192, 8_703, 8_191),
            (8_192, 1_024, 512),
            (8_192, 100, 50),
            (10, 0, 1),
        ] {
            assert_eq!(
                fitting(connections, limit),
                expected,
                "{connections} {limit}"
            );
        }
        assert_eq!(needed(8_192), 8_704);
    }

    #[test]
    fn the_limit_is_raised_for_what_is_wanted() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let wanted = u32::try_from((before + 1).min(hard).saturating_sub(OTHERS)).expect("few");
        assert_eq!(room_for(wanted), wanted);
        assert!(getrlimit(Resource::RLIMIT_NOFILE).expect("a limit").0 >= needed(wanted));
    }
}
