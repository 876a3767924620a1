//! What members ask each other beside what openraft asks (`docs/FORMAT-refs.md`, "Between members").
//!
//! Who gets one and does not lead answers [`Told::NotLeader`] and passes nothing on: one hop.

use bytes::Bytes;
use confman_object_store::DecodeError;

use super::{ChangeError, Force, JoinRequest, MemberChange, MemberReport};
use crate::cursor::{Cursor, put_length, put_name, put_target};
use crate::node::scrub::ScrubStatus;
use crate::raft::{Answer, Refusal};
use crate::transaction::{Committed, Expect, RequestId};

const KIND: &str = "message of a member";

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Replicate this proposal, and say what applying it answered.
    Propose { wait_ms: u32, entry: Bytes },
    /// Up to which index must somebody have applied to see everything that was acknowledged by now?
    ReadIndex { wait_ms: u32 },
    /// Let this node in.
    Join(JoinRequest),
    /// Begin to send the log to a node that was let in.
    AddLearner { node: u64, address: String },
    /// Change the members.
    Change { change: MemberChange, force: Force },
    /// What do you say of yourself?
    Report,
    /// Is this node a member?
    Standing { node: u64 },
    /// What has come of reading again what you store?
    Scrub,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// The leader is elsewhere, there perhaps.
    NotLeader(Option<u64>),
    /// What applying the proposal at this index answered.
    Applied { index: u64, answer: Answer },
    /// The index of [`Ask::ReadIndex`].
    Index(u64),
    /// It is in.
    Joined {
        node: u64,
        cluster: [u8; 16],
        incarnation: u64,
    },
    /// It is not let in, and why.
    NotAdmitted(String),
    /// It is done.
    Done,
    /// The change was not made.
    Unchanged(ChangeError),
    /// What it says of itself.
    Report(MemberReport),
    /// Whether it is a member.
    Standing(bool),
    /// What has come of reading again what it stores.
    Scrub(ScrubStatus),
    /// Too much is waiting.
    Busy,
    /// Nothing was done, and why.
    Unavailable(String),
    /// It may have been done.
    Unknown(String),
}

impl Ask {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::Propose { wait_ms, entry } => {
                out.reserve(9 + entry.len());
                out.push(1);
                out.extend_from_slice(&wait_ms.to_le_bytes());
                put_length(&mut out, entry.len());
                out.extend_from_slice(entry);
            }
            Self::ReadIndex { wait_ms } => {
                out.push(2);
                out.extend_from_slice(&wait_ms.to_le_bytes());
            }
            Self::Join(join) => {
                out.push(3);
                out.extend_from_slice(&join.request);
                put_text(&mut out, &join.token);
                put_text(&mut out, &join.address);
                put_range(&mut out, join.protocol);
            }
            Self::AddLearner { node, address } => {
                out.push(4);
                out.extend_from_slice(&node.to_le_bytes());
                put_text(&mut out, address);
            }
            Self::Change { change, force } => {
                out.push(5);
                put_change(&mut out, *change);
                out.push(u8::from(*force == Force::Yes));
            }
            Self::Report => out.push(6),
            Self::Standing { node } => {
                out.push(7);
                out.extend_from_slice(&node.to_le_bytes());
            }
            Self::Scrub => out.push(8),
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes, KIND);
        let ask = match cursor.u8()? {
            1 => {
                let wait_ms = cursor.u32()?;
                let length = cursor.count(1)?;
                Self::Propose {
                    wait_ms,
                    entry: cursor.shared(length)?,
                }
            }
            2 => Self::ReadIndex {
                wait_ms: cursor.u32()?,
            },
            3 => Self::Join(JoinRequest {
                request: cursor.array()?,
                token: text(&mut cursor)?,
                address: text(&mut cursor)?,
                protocol: range(&mut cursor)?,
            }),
            4 => Self::AddLearner {
                node: cursor.u64()?,
                address: text(&mut cursor)?,
            },
            5 => Self::Change {
                change: change(&mut cursor)?,
                force: match cursor.flag()? {
                    true => Force::Yes,
                    false => Force::No,
                },
            },
            6 => Self::Report,
            7 => Self::Standing {
                node: cursor.u64()?,
            },
            8 => Self::Scrub,
            other => return Err(cursor.wrong(format!("{other} is not a question known here"))),
        };
        cursor.end()?;
        Ok(ask)
    }
}

impl Told {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        match self {
            Self::NotLeader(leader) => {
                out.push(1);
                put_optional(&mut out, *leader);
            }
            Self::Applied { index, answer } => {
                out.push(2);
                out.extend_from_slice(&index.to_le_bytes());
                put_answer(&mut out, answer);
            }
            Self::Index(index) => {
                out.push(3);
                out.extend_from_slice(&index.to_le_bytes());
            }
            Self::Joined {
                node,
                cluster,
                incarnation,
            } => {
                out.push(4);
                out.extend_from_slice(&node.to_le_bytes());
                out.extend_from_slice(cluster);
                out.extend_from_slice(&incarnation.to_le_bytes());
            }
            Self::NotAdmitted(reason) => {
                out.push(5);
                put_text(&mut out, reason);
            }
            Self::Done => out.push(6),
            Self::Unchanged(error) => {
                out.push(7);
                put_error(&mut out, error);
            }
            Self::Report(report) => {
                out.push(8);
                put_report(&mut out, report);
            }
            Self::Standing(member) => {
                out.push(9);
                out.push(u8::from(*member));
            }
            Self::Busy => out.push(10),
            Self::Unavailable(reason) => {
                out.push(11);
                put_text(&mut out, reason);
            }
            Self::Unknown(reason) => {
                out.push(12);
                put_text(&mut out, reason);
            }
            Self::Scrub(scrub) => {
                out.push(13);
                put_scrub(&mut out, scrub);
            }
        }
        out.into()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes, KIND);
        let told = match cursor.u8()? {
            1 => Self::NotLeader(optional(&mut cursor)?),
            2 => Self::Applied {
                index: cursor.u64()?,
                answer: answer(&mut cursor)?,
            },
            3 => Self::Index(cursor.u64()?),
            4 => Self::Joined {
                node: cursor.u64()?,
                cluster: cursor.array()?,
                incarnation: cursor.u64()?,
            },
            5 => Self::NotAdmitted(text(&mut cursor)?),
            6 => Self::Done,
            7 => Self::Unchanged(error(&mut cursor)?),
            8 => Self::Report(report(&mut cursor)?),
            9 => Self::Standing(cursor.flag()?),
            10 => Self::Busy,
            11 => Self::Unavailable(text(&mut cursor)?),
            12 => Self::Unknown(text(&mut cursor)?),
            13 => Self::Scrub(scrub(&mut cursor)?),
            other => return Err(cursor.wrong(format!("{other} is not an answer known here"))),
        };
        cursor.end()?;
        Ok(told)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, DecodeError> {
    let length = cursor.count(1)?;
    cursor.text(length).map(str::to_owned)
}

fn put_optional(out: &mut Vec<u8>, number: Option<u64>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn optional(cursor: &mut Cursor<'_>) -> Result<Option<u64>, DecodeError> {
    Ok(match cursor.flag()? {
        true => Some(cursor.u64()?),
        false => None,
    })
}

fn put_range(out: &mut Vec<u8>, (first, last): (u16, u16)) {
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&last.to_le_bytes());
}

fn range(cursor: &mut Cursor<'_>) -> Result<(u16, u16), DecodeError> {
    Ok((cursor.u16()?, cursor.u16()?))
}

fn put_change(out: &mut Vec<u8>, change: MemberChange) {
    let mut put = |kind: u8, nodes: &[u64]| {
        out.push(kind);
        for node in nodes {
            out.extend_from_slice(&node.to_le_bytes());
        }
    };
    match change {
        MemberChange::Promote { node } => put(1, &[node]),
        MemberChange::Remove { node } => put(2, &[node]),
        MemberChange::Replace { old, new } => put(3, &[old, new]),
        MemberChange::Transfer { to: Some(node) } => put(4, &[node]),
        MemberChange::Transfer { to: None } => put(5, &[]),
    }
}

fn change(cursor: &mut Cursor<'_>) -> Result<MemberChange, DecodeError> {
    Ok(match cursor.u8()? {
        1 => MemberChange::Promote {
            node: cursor.u64()?,
        },
        2 => MemberChange::Remove {
            node: cursor.u64()?,
        },
        3 => MemberChange::Replace {
            old: cursor.u64()?,
            new: cursor.u64()?,
        },
        4 => MemberChange::Transfer {
            to: Some(cursor.u64()?),
        },
        5 => MemberChange::Transfer { to: None },
        other => return Err(cursor.wrong(format!("{other} is not a change known here"))),
    })
}

fn put_error(out: &mut Vec<u8>, error: &ChangeError) {
    let mut numbers = |kind: u8, numbers: &[u64]| {
        out.push(kind);
        for number in numbers {
            out.extend_from_slice(&number.to_le_bytes());
        }
    };
    match error {
        ChangeError::NoSuchMember(node) => numbers(1, &[*node]),
        ChangeError::NoLearner(node) => numbers(2, &[*node]),
        ChangeError::NoVoter(node) => numbers(3, &[*node]),
        ChangeError::LastVoter(node) => numbers(4, &[*node]),
        ChangeError::Behind { node, lag } => numbers(5, &[*node, *lag]),
        ChangeError::LosesQuorum {
            voters,
            reachable,
            needed,
        } => numbers(6, &[*voters, *reachable, *needed]),
        ChangeError::InProgress => numbers(7, &[]),
        ChangeError::Unavailable(reason) => {
            numbers(8, &[]);
            put_text(out, reason);
        }
        ChangeError::UnknownOutcome(reason) => {
            numbers(9, &[]);
            put_text(out, reason);
        }
    }
}

fn error(cursor: &mut Cursor<'_>) -> Result<ChangeError, DecodeError> {
    Ok(match cursor.u8()? {
        1 => ChangeError::NoSuchMember(cursor.u64()?),
        2 => ChangeError::NoLearner(cursor.u64()?),
        3 => ChangeError::NoVoter(cursor.u64()?),
        4 => ChangeError::LastVoter(cursor.u64()?),
        5 => ChangeError::Behind {
            node: cursor.u64()?,
            lag: cursor.u64()?,
        },
        6 => ChangeError::LosesQuorum {
            voters: cursor.u64()?,
            reachable: cursor.u64()?,
            needed: cursor.u64()?,
        },
        7 => ChangeError::InProgress,
        8 => ChangeError::Unavailable(text(cursor)?),
        9 => ChangeError::UnknownOutcome(text(cursor)?),
        other => return Err(cursor.wrong(format!("{other} is not an error known here"))),
    })
}

fn put_report(out: &mut Vec<u8>, report: &MemberReport) {
    put_text(out, &report.version);
    put_range(out, report.protocol);
    put_text(out, &report.url);
    out.push(u8::from(report.replica));
    out.extend_from_slice(&report.term.to_le_bytes());
    put_optional(out, report.leader);
    out.extend_from_slice(&report.applied.to_le_bytes());
    out.extend_from_slice(&report.logged.to_le_bytes());
    out.push(u8::from(report.operation.is_some()));
    if let Some(operation) = &report.operation {
        out.extend_from_slice(operation.as_bytes());
    }
    out.push(u8::from(report.failed.is_some()));
    if let Some(failed) = &report.failed {
        put_text(out, failed);
    }
}

fn report(cursor: &mut Cursor<'_>) -> Result<MemberReport, DecodeError> {
    Ok(MemberReport {
        version: text(cursor)?,
        protocol: range(cursor)?,
        url: text(cursor)?,
        replica: cursor.flag()?,
        term: cursor.u64()?,
        leader: optional(cursor)?,
        applied: cursor.u64()?,
        logged: cursor.u64()?,
        operation: match cursor.flag()? {
            true => Some(cursor.id()?),
            false => None,
        },
        failed: match cursor.flag()? {
            true => Some(text(cursor)?),
            false => None,
        },
    })
}

fn put_scrub(out: &mut Vec<u8>, scrub: &ScrubStatus) {
    for figure in [scrub.objects, scrub.bytes, scrub.passes, scrub.repaired] {
        out.extend_from_slice(&figure.to_le_bytes());
    }
    put_length(out, scrub.damaged.len());
    for damaged in &scrub.damaged {
        put_text(out, damaged);
    }
}

fn scrub(cursor: &mut Cursor<'_>) -> Result<ScrubStatus, DecodeError> {
    let [objects, bytes, passes, repaired] =
        [cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?];
    // Each has a length at least.
    let count = cursor.count(4)?;
    Ok(ScrubStatus {
        objects,
        bytes,
        passes,
        repaired,
        damaged: (0..count).map(|_| text(cursor)).collect::<Result<_, _>>()?,
    })
}

fn put_answer(out: &mut Vec<u8>, answer: &Answer) {
    match answer {
        Answer::Nothing => out.push(0),
        Answer::Staged => out.push(1),
        Answer::Committed(committed) => {
            out.push(2);
            out.extend_from_slice(committed.operation.as_bytes());
            out.extend_from_slice(&committed.index.to_le_bytes());
            out.extend_from_slice(&committed.term.to_le_bytes());
            out.extend_from_slice(&committed.time_ms.to_le_bytes());
        }
        Answer::Refused(refusal) => {
            out.push(3);
            put_refusal(out, refusal);
        }
    }
}

fn answer(cursor: &mut Cursor<'_>) -> Result<Answer, DecodeError> {
    Ok(match cursor.u8()? {
        0 => Answer::Nothing,
        1 => Answer::Staged,
        2 => Answer::Committed(Committed {
            operation: cursor.id()?,
            index: cursor.u64()?,
            term: cursor.u64()?,
            time_ms: cursor.i64()?,
        }),
        3 => Answer::Refused(refusal(cursor)?),
        other => return Err(cursor.wrong(format!("{other} is not an outcome known here"))),
    })
}

fn put_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    match refusal {
        Refusal::Stale {
            name,
            expected,
            actual,
        } => {
            out.push(1);
            put_name(out, name);
            let expected = match expected {
                Expect::Absent => None,
                Expect::At(target) => Some(*target),
            };
            put_target(out, expected);
            put_target(out, *actual);
        }
        Refusal::RequestReused(request) => {
            out.push(2);
            out.extend_from_slice(&request.0);
        }
        Refusal::MissingObject(target) => {
            out.push(3);
            put_target(out, Some(*target));
        }
        Refusal::WrongObject { target, reason } => {
            out.push(4);
            put_target(out, Some(*target));
            put_text(out, reason);
        }
        Refusal::Malformed(reason) => {
            out.push(5);
            put_text(out, reason);
        }
        Refusal::Session(reason) => {
            out.push(6);
            put_text(out, reason);
        }
    }
}

fn refusal(cursor: &mut Cursor<'_>) -> Result<Refusal, DecodeError> {
    let some_target = |cursor: &mut Cursor<'_>| match cursor.target()? {
        Some(target) => Ok(target),
        None => Err(cursor.wrong("an object should be named here")),
    };
    Ok(match cursor.u8()? {
        1 => Refusal::Stale {
            name: cursor.name()?,
            expected: Expect::from_seen(cursor.target()?),
            actual: cursor.target()?,
        },
        2 => Refusal::RequestReused(RequestId(cursor.array()?)),
        3 => Refusal::MissingObject(some_target(cursor)?),
        4 => Refusal::WrongObject {
            target: some_target(cursor)?,
            reason: text(cursor)?,
        },
        5 => Refusal::Malformed(text(cursor)?),
        6 => Refusal::Session(text(cursor)?),
        other => return Err(cursor.wrong(format!("{other} is not a refusal known here"))),
    })
}

#[cfg(test)]
mod tests {
    use confman_object_store::{Kind, ObjectId};

    use super::*;
    use crate::name::RefName;
    use crate::transaction::Target;

    fn id() -> ObjectId {
        ObjectId::from_bytes([7; 32])
    }

    fn target() -> Target {
        Target {
            kind: Kind::Record,
            id: id(),
        }
    }

    fn questions() -> Vec<Ask> {
        let mut asks = vec![
            Ask::Propose {
                wait_ms: 9,
                entry: Bytes::from_static(b"entry"),
            },
            Ask::ReadIndex { wait_ms: 1 },
            Ask::Join(JoinRequest {
                request: [3; 16],
                token: "token".to_owned(),
                address: "a:7421".to_owned(),
                protocol: (1, 2),
            }),
            Ask::AddLearner {
                node: 17,
                address: "b:7421".to_owned(),
            },
            Ask::Report,
            Ask::Standing { node: 4 },
            Ask::Scrub,
        ];
        let changes = [
            MemberChange::Promote { node: 1 },
            MemberChange::Remove { node: 2 },
            MemberChange::Replace { old: 3, new: 4 },
            MemberChange::Transfer { to: Some(5) },
            MemberChange::Transfer { to: None },
        ];
        for change in changes {
            for force in [Force::No, Force::Yes] {
                asks.push(Ask::Change { change, force });
            }
        }
        asks
    }

    fn answers() -> Vec<Told> {
        let refusals = [
            Refusal::Stale {
                name: RefName::new("a").unwrap(),
                expected: Expect::At(target()),
                actual: None,
            },
            Refusal::RequestReused(RequestId([1; 16])),
            Refusal::MissingObject(target()),
            Refusal::WrongObject {
                target: target(),
                reason: "r".to_owned(),
            },
            Refusal::Malformed("m".to_owned()),
            Refusal::Session("s".to_owned()),
        ];
        let committed = Committed {
            operation: id(),
            index: 5,
            term: 6,
            time_ms: -7,
        };
        let report = MemberReport {
            version: "0.1".to_owned(),
            protocol: (1, 3),
            url: "http://a".to_owned(),
            replica: true,
            term: 2,
            leader: Some(1),
            applied: 8,
            logged: 9,
            operation: Some(id()),
            failed: Some("disk".to_owned()),
        };
        let errors = [
            ChangeError::NoSuchMember(1),
            ChangeError::NoLearner(2),
            ChangeError::NoVoter(3),
            ChangeError::LastVoter(4),
            ChangeError::Behind { node: 5, lag: 6 },
            ChangeError::LosesQuorum {
                voters: 3,
                reachable: 1,
                needed: 2,
            },
            ChangeError::InProgress,
            ChangeError::Unavailable("u".to_owned()),
            ChangeError::UnknownOutcome("o".to_owned()),
        ];
        let mut told = vec![
            Told::NotLeader(None),
            Told::NotLeader(Some(3)),
            Told::Index(4),
            Told::Joined {
                node: 9,
                cluster: [2; 16],
                incarnation: 1,
            },
            Told::NotAdmitted("no".to_owned()),
            Told::Done,
            Told::Report(report),
            Told::Standing(true),
            Told::Scrub(ScrubStatus {
                objects: 1,
                bytes: 2,
                passes: 3,
                repaired: 4,
                damaged: vec!["a blob".to_owned(), String::new()],
            }),
            Told::Busy,
            Told::Unavailable("u".to_owned()),
            Told::Unknown("x".to_owned()),
        ];
        told.extend(errors.into_iter().map(Told::Unchanged));
        let outcomes = [
            Answer::Nothing,
            Answer::Staged,
            Answer::Committed(committed),
        ];
        let outcomes = outcomes
            .into_iter()
            .chain(refusals.into_iter().map(Answer::Refused));
        told.extend(outcomes.map(|answer| Told::Applied { index: 12, answer }));
        told
    }

    #[test]
    fn questions_and_answers_survive_the_way() {
        for ask in questions() {
            assert_eq!(Ask::decode(&ask.encode()).unwrap(), ask);
        }
        for told in answers() {
            let again = Told::decode(&told.encode()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{told:?}"));
        }
    }

    #[test]
    fn a_message_that_is_cut_or_longer_is_refused() {
        let whole = questions().iter().map(Ask::encode).collect::<Vec<_>>();
        for bytes in whole {
            for length in 0..bytes.len() {
                assert!(Ask::decode(&bytes.slice(..length)).is_err(), "{length}");
            }
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert!(Ask::decode(&longer.into()).is_err());
        }
        for told in answers() {
            let bytes = told.encode();
            for length in 0..bytes.len() {
                assert!(
                    Told::decode(&bytes.slice(..length)).is_err(),
                    "{told:?} {length}"
                );
            }
        }
    }
}
