//! The limit on open files, which bounds the connections of the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// File descriptors reserved for the database pools, the log and calls to other services.
const OTHERS: u64 = 512;

/// Raises the limit on open files as far as needed and possible, and returns how many of the connections fit. The reserve
/// keeps many clients from cutting the process off its database.
pub(crate) fn raise_limit(connections: u32) -> u32 {
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
        let why = "the limit on open files allows fewer connections than TIRIS_CONNECTIONS";
        tracing::warn!(limit, fitting, "{why}");
    }
    fitting
}

fn needed(connections: u32) -> u64 {
    u64::from(connections) + OTHERS
}

/// Returns how many connections fit. Of a very low limit, clients get half.
fn fitting(connections: u32, limit: u64) -> u32 {
    let room = limit.saturating_sub(OTHERS).max(limit / 2).max(1);
    u32::try_from(room).unwrap_or(u32::MAX).min(connections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserves_descriptors_beside_connections() {
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
    fn raises_the_limit_as_needed() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        let wanted = u32::try_from((before + 1).min(hard).saturating_sub(OTHERS)).expect("few");
        assert_eq!(raise_limit(wanted), wanted);
        assert!(getrlimit(Resource::RLIMIT_NOFILE).expect("a limit").0 >= needed(wanted));
    }
}
