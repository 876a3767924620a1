//! What the figures were measured on.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// Processor, memory, disk latency, versions.
pub fn describe() -> Result<String, Failure> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let total_kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let directory = tempfile::tempdir()?;
    let sync = sync_latency(directory.path())?;
    Ok(format!(
        "Measured on {}: {cores} cores of {model}, {} GiB, fdatasync of 512 bytes {:.2} ms; git {}.",
        jiff::Timestamp::now().strftime("%Y-%m-%d"),
        total_kib.div_ceil(1 << 20),
        sync.as_secs_f64() * 1000.0,
        crate::git::version()?
    ))
}

/// Median time of a small write that is synced.
pub fn sync_latency(directory: &Path) -> Result<Duration, Failure> {
    let mut file = File::create(directory.join("sync-probe"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&[7; 512])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Bytes of all files below a directory.
pub fn bytes_below(directory: &Path) -> Result<u64, Failure> {
    let mut total = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        total += if metadata.is_dir() {
            bytes_below(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(total)
}
