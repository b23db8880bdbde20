//! What Linux reports about processes and the machine under `/proc`.

use std::fs;

/// Returns the value of the first line `name: value` of a file.
pub fn proc_field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Returns the memory of a process in KiB: `VmRSS` is resident now, `VmHWM` the peak. None where there is no `/proc`.
#[must_use]
pub fn memory_kib(pid: u32, name: &str) -> Option<u64> {
    let text = proc_field(&format!("/proc/{pid}/status"), name)?;
    text.split_whitespace().next()?.parse().ok()
}

/// Returns the number of open files and sockets of a process. None where there is no `/proc`.
#[must_use]
pub fn open_files(pid: u32) -> Option<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    u64::try_from(files.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(not(target_os = "linux"), ignore = "needs /proc")]
    fn reads_the_memory_and_files_of_a_process() {
        let own = std::process::id();

        let resident = memory_kib(own, "VmRSS").expect("this process uses memory");
        let files = open_files(own).expect("this process has open files");

        assert!(resident > 0);
        assert!(Some(resident) <= memory_kib(own, "VmHWM"));
        assert!(files > 0);
        assert_eq!(memory_kib(0, "VmRSS"), None);
        assert_eq!(open_files(0), None);
    }
}
