//! The clock and the disk of a machine, as far as the process on it can tell.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::chance::Chance;

/// What is loaded into the process.
const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/shim.c");
/// The directories of a node that have write-ahead logs.
const DATABASES: [&str; 2] = ["raft", "data"];

/// What to do, in the order of `struct control` in shim.c.
#[derive(Clone, Copy, Debug)]
enum Control {
    ClockMs,
    SyncDelayUs,
    SyncFails,
    Full,
    Lies,
}

/// Compiles the shim, once for all machines.
pub fn compile(place: &Path) -> PathBuf {
    let shim = place.join("shim.so");
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&shim, Path::new(SHIM)])
        .arg("-ldl")
        .status();
    assert!(
        done.is_ok_and(|done| done.success()),
        "{SHIM} does not compile; it takes the C compiler that RocksDB takes too"
    );
    shim
}

/// See the module.
pub struct Machine {
    shim: PathBuf,
    place: PathBuf,
    control: File,
}

impl Machine {
    pub fn new(shim: &Path, place: &Path) -> Self {
        std::fs::create_dir_all(place.join("synced")).unwrap();
        let control = File::create(place.join("control")).unwrap();
        control.set_len(4096).unwrap();
        Self {
            shim: shim.to_owned(),
            place: place.to_owned(),
            control,
        }
    }

    pub fn data(&self) -> PathBuf {
        self.place.join("disk")
    }

    /// What the process must be started with.
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("LD_PRELOAD", self.shim.clone()),
            ("CONFMAN_SHIM_CONTROL", self.place.join("control")),
            ("CONFMAN_SHIM_DATA", self.data()),
            ("CONFMAN_SHIM_SYNCED", self.place.join("synced")),
        ]
    }

    fn set(&self, what: Control, value: i64) {
        let at = what as u64 * 8;
        self.control.write_all_at(&value.to_le_bytes(), at).unwrap();
    }

    /// The clock is so far from what it should be.
    pub fn clock(&self, ms: i64) {
        self.set(Control::ClockMs, ms);
    }

    /// Each sync takes so much longer.
    pub fn slow(&self, delay: Duration) {
        let us = i64::try_from(delay.as_micros()).unwrap();
        self.set(Control::SyncDelayUs, us);
    }

    /// Each sync fails.
    pub fn failing(&self) {
        self.set(Control::SyncFails, 1);
    }

    /// Nothing can be written any more.
    pub fn full(&self) {
        self.set(Control::Full, 1);
    }

    /// What is said to be synced is not.
    pub fn lies(&self) {
        self.set(Control::Lies, 1);
    }

    /// The disk takes writes, at its own speed.
    pub fn mend_disk(&self) {
        self.slow(Duration::ZERO);
        self.set(Control::SyncFails, 0);
        self.set(Control::Full, 0);
    }

    /// Forgets what it had, as a machine with a new disk.
    pub fn wipe(&self) {
        let _ = std::fs::remove_dir_all(self.data());
        std::fs::remove_dir_all(self.place.join("synced")).unwrap();
        std::fs::create_dir_all(self.place.join("synced")).unwrap();
    }

    /// Loses a part of what was written and not synced; gives the bytes. Nobody may run on it.
    pub fn lose_unsynced(&self, chance: &mut Chance) -> u64 {
        let mut lost = 0;
        for database in DATABASES {
            let Ok(files) = std::fs::read_dir(self.data().join(database)) else {
                continue;
            };
            let logs = files
                .map(|file| file.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "log"));
            for log in logs {
                lost += self.cut(database, &log, chance);
            }
        }
        lost
    }

    fn cut(&self, database: &str, log: &Path, chance: &mut Chance) -> u64 {
        let name = log.file_name().unwrap().to_str().unwrap();
        let noted = self.place.join("synced").join(format!("{database}+{name}"));
        let synced: u64 = std::fs::read_to_string(noted)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        let file = File::options().write(true).open(log).unwrap();
        let length = file.metadata().unwrap().len();
        let kept = chance.between(synced.min(length), length + 1);
        file.set_len(kept).unwrap();
        length - kept
    }
}
