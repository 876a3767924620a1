//! Backups.

use super::time;
use crate::commands::backup::{ListedPoint, MadeBackup, RestoredStore, VerifiedBackup};
use crate::text::{Role, Text, short};

/// Bytes of a mebibyte and of a kibibyte.
const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;

/// A backup that was made.
pub(crate) fn made(made: &MadeBackup) -> Text {
    let mut text = Text::new();
    text.plain("backup as of operation ")
        .push(Role::Id, &made.sequence.to_string())
        .plain(&format!(
            " ({} at index {}, {})",
            short(&made.operation),
            made.index,
            time(&made.time)
        ))
        .plain(" in ")
        .push(Role::Heading, &made.place)
        .end_line();
    match made.unchanged {
        true => text.plain("nothing has happened since the last one"),
        false => text.plain(&format!(
            "copied {} objects, wrote {}",
            made.objects,
            bytes(made.bytes)
        )),
    };
    text.end_line();
    text
}

/// One point a line, oldest first.
pub(crate) fn points(points: &[ListedPoint]) -> Text {
    let rows: Vec<_> = points
        .iter()
        .map(|point| {
            let mut row = vec![
                (Role::Id, point.sequence.to_string()),
                (Role::Faint, short(&point.operation).to_owned()),
            ];
            match (&point.says, &point.problem) {
                (Some(says), _) => row.extend([
                    (Role::Plain, format!("index {}", says.index)),
                    (Role::Plain, time(&says.time)),
                    (Role::Plain, format!("{} objects", says.objects)),
                    (Role::Plain, bytes(says.bytes)),
                    (Role::Faint, format!("made {}", time(&says.made))),
                ]),
                (None, problem) => {
                    // Below what the others end with, so that it widens no column.
                    row.extend((0..4).map(|_| (Role::Plain, String::new())));
                    row.push((Role::Error, problem.clone().unwrap_or_default()));
                }
            }
            row
        })
        .collect();
    super::columns(&rows)
}

/// What was verified, and everything that is wrong.
pub(crate) fn verified(verified: &VerifiedBackup) -> Text {
    let mut text = Text::new();
    text.plain(&format!(
        "verified {}: {} objects in {} bundles, {}",
        crate::text::count(
            usize::try_from(verified.points).unwrap_or(usize::MAX),
            "backup"
        ),
        verified.objects,
        verified.bundles,
        bytes(verified.bytes)
    ))
    .end_line();
    for problem in &verified.problems {
        text.push(Role::Error, "wrong: ").plain(problem).end_line();
    }
    if verified.problems.is_empty() {
        text.push(Role::Added, "nothing is wrong").end_line();
    }
    text
}

/// What was restored, and what to do next.
pub(crate) fn restored(restored: &RestoredStore) -> Text {
    let data = restored.data.display().to_string();
    let mut text = Text::new();
    text.plain("restored ")
        .push(Role::Heading, &data)
        .plain(&format!(
            " as of operation {} ({} at index {}, {}): {} objects, {} rows of indexes",
            restored.sequence,
            short(&restored.operation),
            restored.index,
            time(&restored.time),
            restored.objects,
            restored.rows
        ))
        .end_line();
    text.plain("it is cluster ")
        .push(Role::Id, &restored.cluster_id)
        .plain(", of one node; start it with: confman serve --data ")
        .plain(&data)
        .end_line();
    match restored.admin_token {
        true => text.plain(&format!(
            "tokens of before are good as they were; {data}/admin.token holds a new one of `admin`"
        )),
        false => text.push(
            Role::Warning,
            "tokens of before are good as they were; `admin` is no admin of `/` there, so no new one was made",
        ),
    };
    text.end_line();
    text
}

/// A length in the unit that reads best.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", bytes.div_ceil(KIB)),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::commands::backup::PointSays;

    const OPERATION: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_backup_says_what_it_is_as_of_and_what_was_copied() {
        let backup = MadeBackup {
            place: "s3://bucket/confman".to_owned(),
            sequence: 12,
            operation: OPERATION.to_owned(),
            index: 15,
            time: "2026-11-24T12:36:01.525Z".to_owned(),
            unchanged: false,
            objects: 34,
            bytes: 5_300_000,
        };
        assert_snapshot!(made(&backup).to_plain(), @"
        backup as of operation 12 (0123456789ab at index 15, 2026-11-24 12:36:01Z) in s3://bucket/confman
        copied 34 objects, wrote 5.0 MiB
        ");
        let unchanged = MadeBackup {
            unchanged: true,
            ..backup
        };
        assert_snapshot!(made(&unchanged).to_plain(), @"
        backup as of operation 12 (0123456789ab at index 15, 2026-11-24 12:36:01Z) in s3://bucket/confman
        nothing has happened since the last one
        ");
    }

    #[test]
    fn points_that_cannot_be_read_say_why() {
        let good = ListedPoint {
            sequence: 7,
            operation: OPERATION.to_owned(),
            says: Some(PointSays {
                cluster_id: "ab".repeat(16),
                index: 9,
                time: "2026-11-24T12:36:01Z".to_owned(),
                made: "2026-11-24T12:40:01Z".to_owned(),
                objects: 20,
                bytes: 900,
                bundles: 1,
            }),
            problem: None,
        };
        let bad = ListedPoint {
            sequence: 12,
            operation: OPERATION.chars().take(16).collect(),
            says: None,
            problem: Some(
                "points/000000000012-0123456789abcdef.point: its sum is another".to_owned(),
            ),
        };
        assert_snapshot!(points(&[good, bad]).to_plain(), @"
        7   0123456789ab  index 9  2026-11-24 12:36:01Z  20 objects  900 bytes  made 2026-11-24 12:40:01Z
        12  0123456789ab                                                        points/000000000012-0123456789abcdef.point: its sum is another
        ");
    }

    #[test]
    fn everything_that_is_wrong_is_listed() {
        let found = VerifiedBackup {
            points: 1,
            bundles: 2,
            objects: 30,
            bytes: 4096,
            problems: vec!["bundles/ab.bundle: it is missing".to_owned()],
        };
        assert_snapshot!(verified(&found).to_plain(), @"
        verified 1 backup: 30 objects in 2 bundles, 4 KiB
        wrong: bundles/ab.bundle: it is missing
        ");
    }

    #[test]
    fn a_restore_says_how_to_go_on() {
        let found = RestoredStore {
            data: "NEW".into(),
            cluster_id: "cd".repeat(16),
            sequence: 12,
            operation: OPERATION.to_owned(),
            index: 15,
            time: "2026-11-24T12:36:01.525Z".to_owned(),
            objects: 34,
            rows: 8,
            admin_token: true,
        };
        assert_snapshot!(restored(&found).to_plain(), @"
        restored NEW as of operation 12 (0123456789ab at index 15, 2026-11-24 12:36:01Z): 34 objects, 8 rows of indexes
        it is cluster cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd, of one node; start it with: confman serve --data NEW
        tokens of before are good as they were; NEW/admin.token holds a new one of `admin`
        ");
    }
}
