//! Points: as of which operation a restore is possible, and what it takes. A text file of its own
//! (`docs/FORMAT-backup.md`, "Points").

use std::fmt::Write;

use bytes::Bytes;
use confman_object_store::ObjectId;
use data_encoding::HEXLOWER;

use crate::BackupError;
use crate::source::Head;

/// What a point begins with.
const TITLE: &str = "confman backup point 1";
/// The BLAKE3 context of the sum at its end.
const SUM_CONTEXT: &str = "confman 2026 backup point v1";
/// Where points are.
pub(crate) const POINTS: &str = "points/";
/// What their names end with.
const ENDING: &str = ".point";
/// Digits of the sequence number in a name, so that names sort as numbers do.
const SEQUENCE_DIGITS: usize = 12;
/// Digits of the operation in a name.
const OPERATION_DIGITS: usize = 16;

/// The name of a point: number and beginning of its operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PointName {
    /// Number of the operation.
    pub sequence: u64,
    /// The first 16 digits of its id.
    pub operation: String,
}

impl PointName {
    pub(crate) fn of(head: &Head) -> Self {
        let operation = head.operation.to_string();
        Self {
            sequence: head.sequence,
            operation: operation.chars().take(OPERATION_DIGITS).collect(),
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> String {
        format!(
            "{POINTS}{:0width$}-{}{ENDING}",
            self.sequence,
            self.operation,
            width = SEQUENCE_DIGITS
        )
    }

    pub(crate) fn parse(file: &str) -> Option<Self> {
        let (sequence, operation) = file
            .strip_prefix(POINTS)?
            .strip_suffix(ENDING)?
            .split_once('-')?;
        let name = Self {
            sequence: sequence.parse().ok()?,
            operation: operation.to_owned(),
        };
        let is_hex = operation
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && operation.len() == OPERATION_DIGITS && name.file() == file).then_some(name)
    }
}

/// A bundle, as points list it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BundleLine {
    /// 64 hex digits: the hash of its file.
    pub name: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// Objects in it.
    pub objects: u64,
}

/// As of when a restore is possible, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where the backup ends.
    pub head: Head,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
    /// The bundles, in the order of their names.
    pub bundles: Vec<BundleLine>,
}

impl Point {
    /// Identity of its cluster, 32 hex digits.
    #[must_use]
    pub fn cluster(&self) -> String {
        HEXLOWER.encode(&self.head.cluster_id)
    }

    /// Bytes of all of its bundles.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bundles.iter().map(|bundle| bundle.bytes).sum()
    }

    /// Objects of all of its bundles.
    #[must_use]
    pub fn objects(&self) -> u64 {
        self.bundles.iter().map(|bundle| bundle.objects).sum()
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut text = format!("{TITLE}\n");
        let head = &self.head;
        let lines = [
            ("cluster", HEXLOWER.encode(&head.cluster_id)),
            ("sequence", head.sequence.to_string()),
            ("operation", head.operation.to_string()),
            ("index", head.index.to_string()),
            ("time", head.time_ms.to_string()),
            ("made", self.made_ms.to_string()),
        ];
        for (word, value) in lines {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{word} {value}");
        }
        for bundle in &self.bundles {
            let _ = writeln!(
                text,
                "bundle {} {} {}",
                bundle.name, bundle.bytes, bundle.objects
            );
        }
        let sum = sum(text.as_bytes());
        let _ = writeln!(text, "sum {sum}");
        text.into()
    }

    /// Reads a file, which must be byte for byte what [`Self::encode`] makes.
    pub(crate) fn decode(file: &str, bytes: &Bytes) -> Result<Self, BackupError> {
        let damaged = |reason: &str| BackupError::Damaged {
            file: file.to_owned(),
            reason: reason.to_owned(),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let mut lines = text.lines();
        match lines.next() {
            Some(TITLE) => {}
            _ => return Err(damaged(&format!("it does not begin with `{TITLE}`"))),
        }
        let mut field = |word: &str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(word)?.strip_prefix(' '))
                .ok_or_else(|| damaged(&format!("where `{word}` should be is something else")))
        };
        let number = |word: &str, text: &str| {
            text.parse()
                .map_err(|_| damaged(&format!("`{word}` is not a number")))
        };
        let cluster = HEXLOWER
            .decode(field("cluster")?.as_bytes())
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .ok_or_else(|| damaged("`cluster` is not an identity"))?;
        let sequence = number("sequence", field("sequence")?)?;
        let operation = field("operation")?
            .parse::<ObjectId>()
            .map_err(|_| damaged("`operation` is not an id"))?;
        let head = Head {
            cluster_id: cluster,
            operation,
            sequence,
            index: number("index", field("index")?)?,
            time_ms: time(field("time")?).ok_or_else(|| damaged("`time` is not a time"))?,
        };
        let made_ms = time(field("made")?).ok_or_else(|| damaged("`made` is not a time"))?;
        let mut bundles = Vec::new();
        for line in lines {
            if line.starts_with("sum ") {
                break;
            }
            bundles.push(bundle(line).ok_or_else(|| damaged(&format!("`{line}` is no bundle")))?);
        }
        let point = Self {
            head,
            made_ms,
            bundles,
        };
        match point.encode() == *bytes {
            true => Ok(point),
            false => Err(damaged("its sum is another: it was changed or cut")),
        }
    }
}

fn sum(bytes: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(SUM_CONTEXT);
    hasher.update(bytes);
    hasher.finalize().to_hex().to_string()
}

fn time(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn bundle(line: &str) -> Option<BundleLine> {
    let mut words = line.strip_prefix("bundle ")?.split(' ');
    let bundle = BundleLine {
        name: words.next()?.to_owned(),
        bytes: words.next()?.parse().ok()?,
        objects: words.next()?.parse().ok()?,
    };
    let is_name = bundle.name.len() == 64 && HEXLOWER.decode(bundle.name.as_bytes()).is_ok();
    (is_name && words.next().is_none()).then_some(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> Point {
        let bundle = |digit: &str, objects| BundleLine {
            name: digit.repeat(64),
            bytes: 1000,
            objects,
        };
        Point {
            head: Head {
                cluster_id: [0xab; 16],
                operation: ObjectId::from_bytes([7; 32]),
                sequence: 4711,
                index: 5230,
                time_ms: 1_764_000_000_000,
            },
            made_ms: 1_764_000_001_000,
            bundles: vec![bundle("0", 10), bundle("f", 3)],
        }
    }

    #[test]
    fn a_point_is_text_with_a_sum() {
        let text = String::from_utf8(point().encode().to_vec()).unwrap();
        insta::assert_snapshot!(text, @"
        confman backup point 1
        cluster abababababababababababababababab
        sequence 4711
        operation 0707070707070707070707070707070707070707070707070707070707070707
        index 5230
        time 1764000000000
        made 1764000001000
        bundle 0000000000000000000000000000000000000000000000000000000000000000 1000 10
        bundle ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff 1000 3
        sum 9ed20b7fcd8843d463cb3b03e56c79f5caf699a6afb25b4615f6586d04538eab
        ");
    }

    #[test]
    fn a_point_is_read_as_it_was_written_and_never_otherwise() {
        let bytes = point().encode();
        assert_eq!(Point::decode("p", &bytes).unwrap(), point());
        for place in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[place] ^= 1;
            assert!(Point::decode("p", &other.into()).is_err(), "{place}");
            let cut = bytes.slice(..place);
            assert!(Point::decode("p", &cut).is_err(), "{place}");
        }
    }

    #[test]
    fn names_of_points_sort_by_number_and_read_one_way() {
        let name = PointName::of(&point().head);
        assert_eq!(name.file(), "points/000000004711-0707070707070707.point");
        assert_eq!(PointName::parse(&name.file()), Some(name));
        for other in [
            "points/4711-0707070707070707.point",
            "points/000000004711-07.point",
            "points/000000004711-070707070707070G.point",
            "000000004711-0707070707070707.point",
        ] {
            assert_eq!(PointName::parse(other), None, "{other}");
        }
    }
}
