//! What a process takes of memory, where the system tells (Linux).

use std::fs;

/// Resident memory now.
pub(crate) fn resident_kib(pid: u32) -> Option<u64> {
    of(pid, "VmRSS:")
}

/// Resident memory at most since its start.
pub(crate) fn peak_kib(pid: u32) -> Option<u64> {
    of(pid, "VmHWM:")
}

fn of(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_process_is_told_apart_from_none() {
        let own = std::process::id();
        assert!(
            super::resident_kib(own)
                .is_some_and(|now| now > 0 && Some(now) <= super::peak_kib(own))
        );
        assert_eq!(super::resident_kib(0), None);
    }
}
