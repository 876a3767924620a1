//! What the system says of this process.

use std::fs;

/// Memory, files, threads and processor time of this process. What the system does not say is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessFigures {
    pub(crate) resident_bytes: u64,
    pub(crate) open_files: u64,
    pub(crate) threads: u64,
    pub(crate) cpu_ms: u64,
}

/// Looks them up.
pub(crate) fn read() -> ProcessFigures {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ProcessFigures {
        resident_bytes: field(&status, "VmRSS:") * 1024,
        threads: field(&status, "Threads:"),
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64),
        cpu_ms: cpu_ms().unwrap_or(0),
    }
}

/// Milliseconds of one of the system's ticks; Linux has had 100 a second for programs since ever.
const TICK_MS: u64 = 10;

/// Processor time of all threads.
fn cpu_ms() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may have spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    Some((user + system) * TICK_MS)
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_memory_files_and_threads() {
        let figures = read();
        assert!(figures.resident_bytes > 1 << 20, "{figures:?}");
        assert!(figures.open_files >= 3, "{figures:?}");
        assert!(figures.threads >= 1, "{figures:?}");
    }
}
