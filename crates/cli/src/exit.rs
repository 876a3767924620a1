//! How a run ends, for scripts.

use std::process::ExitCode;

/// What the exit code of a run says. The numbers are a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// It did not work for a reason that has no number of its own; or there is a difference, under
    /// `--exit-code`.
    Failure = 1,
    /// The command line is not understood.
    Usage = 2,
    /// What was asked for is not there, or the caller may not know that it is.
    NotFound = 3,
    /// The caller may not do this.
    NotAllowed = 4,
    /// Something moved in between, or the state does not allow it.
    Conflict = 5,
    /// Input that is not valid, or stored data that is corrupt.
    Invalid = 6,
    /// The server does not answer, or asks to come back later.
    Unreachable = 7,
    /// A question has to be answered, and nobody is there to ask.
    Confirmation = 8,
    /// A defect of this program.
    Bug = 10,
    /// Stopped by Ctrl-C, as shells report it.
    Interrupted = 130,
}

impl Exit {
    /// Every way to end, in the order of the numbers.
    pub(crate) const ALL: [Self; 11] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::NotFound,
        Self::NotAllowed,
        Self::Conflict,
        Self::Invalid,
        Self::Unreachable,
        Self::Confirmation,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// What it means, for the reference.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::Failure => "failed, or a difference under --exit-code",
            Self::Usage => "the command line is not understood",
            Self::NotFound => "not found",
            Self::NotAllowed => "not allowed",
            Self::Conflict => "a conflict, or something moved in between",
            Self::Invalid => "invalid input or corrupt data",
            Self::Unreachable => "the server is unreachable or busy",
            Self::Confirmation => "a confirmation is needed and nobody can be asked",
            Self::Bug => "a defect of confman",
            Self::Interrupted => "stopped by Ctrl-C",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_a_contract() {
        let table: Vec<_> = Exit::ALL
            .iter()
            .map(|exit| format!("{} {}", exit.code(), exit.meaning()))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @"
        0 done
        1 failed, or a difference under --exit-code
        2 the command line is not understood
        3 not found
        4 not allowed
        5 a conflict, or something moved in between
        6 invalid input or corrupt data
        7 the server is unreachable or busy
        8 a confirmation is needed and nobody can be asked
        10 a defect of confman
        130 stopped by Ctrl-C
        ");
    }
}
