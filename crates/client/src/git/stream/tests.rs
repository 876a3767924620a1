use proptest::prelude::*;

use super::*;

/// Every command of a stream, one a line, or the problem.
fn read(stream: &[u8]) -> String {
    let mut reader = StreamReader::new(stream);
    let mut lines = Vec::new();
    loop {
        match reader.next_command() {
            Ok(None) => return lines.join("\n"),
            Ok(Some(Command::Blob {
                mark,
                original,
                data,
            })) => {
                lines.push(format!("blob {mark:?} {original:?} {}", printable(&data)));
            }
            Ok(Some(Command::Commit(commit))) => {
                lines.push(format!(
                    "commit {} {:?} {} <{}> {} {} {} from {:?} merge {:?}",
                    commit.branch,
                    commit.mark,
                    printable(&commit.committer.name),
                    printable(&commit.committer.email),
                    commit.committer.seconds,
                    commit.committer.offset_minutes,
                    printable(&commit.message),
                    commit.from,
                    commit.merges
                ));
                for change in commit.changes {
                    lines.push(match change {
                        FileChange::Modify {
                            mode,
                            content,
                            path,
                        } => format!("  M {mode:o} {content:?} {}", printable(&path)),
                        FileChange::Delete(path) => format!("  D {}", printable(&path)),
                        FileChange::Rename(from, to) => {
                            format!("  R {} -> {}", printable(&from), printable(&to))
                        }
                        FileChange::Copy(from, to) => {
                            format!("  C {} -> {}", printable(&from), printable(&to))
                        }
                        FileChange::DeleteAll => "  deleteall".to_owned(),
                        FileChange::Note(about) => format!("  N {about:?}"),
                    });
                }
            }
            Ok(Some(other)) => lines.push(format!("{other:?}")),
            Err(error) => {
                lines.push(error.to_string());
                return lines.join("\n");
            }
        }
    }
}

const WHOLE: &str = r#"feature done
option git quiet
# a comment
blob
mark :1
original-oid 0123456789012345678901234567890123456789
data 4
a
b

reset refs/heads/main
commit refs/heads/main
mark :2
author Ada <ada@x> 5 +0130
committer Ada L. <ada@x> 1700000000 -0500
encoding ISO-8859-1
data <<END
why
END
M 100644 :1 a b.txt
M 100755 inline "q\"\303\251\n"
data 2
hi
R "old name" new name
C x y z
D gone
deleteall

progress half
commit refs/heads/main
committer <> 0 +9999
data 0
from :2
merge 0123456789012345678901234567890123456789
merge refs/heads/side^0
N inline :2
data 1
n
tag v1
from :2
tagger Ada <ada@x> 5 +0000
data 3
tag
reset refs/heads/other
from :2

done
ignored
"#;

#[test]
fn every_command_is_read() {
    insta::assert_snapshot!(read(WHOLE.as_bytes()), @r#"
    blob Some(1) Some("0123456789012345678901234567890123456789") a\nb\n
    Reset { branch: "refs/heads/main", from: None }
    commit refs/heads/main Some(2) Ada L. <ada@x> 1700000000 -300 why\n from None merge []
      M 100644 Blob(Mark(1)) a b.txt
      M 100755 Inline(b"hi") q\"é\n
      R old name -> new name
      C x -> y z
      D gone
      deleteall
    commit refs/heads/main None  <> 0 0  from Some(Mark(2)) merge [Oid("0123456789012345678901234567890123456789"), Ref("refs/heads/side")]
      N Mark(2)
    Tag { name: "v1" }
    Reset { branch: "refs/heads/other", from: Some(Mark(2)) }
    Done
    "#);
}

#[test]
fn what_is_wrong_is_told_with_its_line_and_byte() {
    let wrong = |text: &str| read(text.as_bytes());
    insta::assert_snapshot!(wrong("nonsense\n"), @"line 1, byte 0: expected a command (blob, commit, tag, reset, feature, option, progress, done), not `nonsense`");
    insta::assert_snapshot!(wrong("commit refs/heads/main\nmark :1\nnonsense\n"), @"line 3, byte 31: expected `committer NAME <EMAIL> SECONDS ZONE`, not `nonsense`");
    insta::assert_snapshot!(wrong("blob\nmark :1\ndata 99999999999999\nx\n"), @"line 3, byte 13: data of 99999999999999 bytes, at most 536870912 are read");
    insta::assert_snapshot!(wrong("blob\nmark :0\ndata 1\nx\n"), @"line 2, byte 5: `:0` is not a mark; it is `:` and a number");
    insta::assert_snapshot!(wrong("blob\nmark :1\ndata 10\nx\n"), @"line 5, byte 23: the stream ends inside of data; 8 of 10 bytes are missing");
    insta::assert_snapshot!(wrong("blob\nmark :1\nda"), @"line 3, byte 15: the stream ends in the middle of a line");
    insta::assert_snapshot!(wrong("blob\nmark :1\n"), @"line 3, byte 13: the stream ends where `data` is expected");
    insta::assert_snapshot!(wrong("blob\ndata <<E\nx\n"), @"line 2, byte 5: the stream ends inside of data, before its `E`");
    insta::assert_snapshot!(wrong("feature done\nblob\ndata 1\nx\n"), @"
    blob None None x
    line 5, byte 27: the stream ends without the `done` that it announced
    ");
    insta::assert_snapshot!(wrong("feature cat-blob\n"), @"line 1, byte 0: feature `cat-blob` is not known here; allowed are done, notes and date-format=raw");
    insta::assert_snapshot!(wrong("commit x\ncommitter a b 1 +0000\n"), @"line 2, byte 9: expected `NAME <EMAIL> SECONDS ZONE`, not `a b 1 +0000`");
    insta::assert_snapshot!(wrong("commit x\ncommitter <a> 1 +0000\ndata 0\nM 1 :1 a\n"), @"line 4, byte 38: `1` is not a mode; allowed are 100644, 100755, 120000, 160000 and 040000");
    insta::assert_snapshot!(wrong("commit x\ncommitter <a> 1 +0000\ndata 0\nD \"a\\9\"\n"), @r#"line 4, byte 38: `\"a\\9\"` is not a quoted path"#);
    insta::assert_snapshot!(wrong("commit x\ncommitter <a> 1 +0000\ndata 0\nR one\n"), @"line 4, byte 38: expected two paths, not `one`");
    insta::assert_snapshot!(wrong("commit x\ncommitter <a> 1 +0000\ndata 0\nls a\n"), @"line 4, byte 38: `ls a` asks a question; a stream from a file cannot have an answer");
}

#[test]
fn lines_of_data_count() {
    insta::assert_snapshot!(read(b"blob\ndata 4\n\n\n\n\n\nwhat\n"), @r#"
    blob None None \n\n\n\n
    line 8, byte 17: expected a command (blob, commit, tag, reset, feature, option, progress, done), not `what`
    "#);
}

/// Gives one byte at a time, as the slowest pipe would.
struct Slow<'s>(&'s [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(0);
        };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn how_the_bytes_arrive_does_not_matter() {
    let mut slow = StreamReader::new(Slow(WHOLE.as_bytes()));
    let mut fast = StreamReader::new(WHOLE.as_bytes());
    loop {
        let (one, other) = (slow.next_command().unwrap(), fast.next_command().unwrap());
        assert_eq!(one, other);
        if one.is_none() {
            break;
        }
    }
    assert_eq!(slow.offset(), fast.offset());
}

proptest! {
    #[test]
    fn a_mutated_stream_is_read_or_refused(
        at in 0..WHOLE.len(),
        with in any::<u8>(),
        cut in 0..WHOLE.len(),
        cut_len in 0..40_usize,
    ) {
        let mut stream = WHOLE.as_bytes().to_vec();
        stream[at] = with;
        stream.drain(cut..(cut + cut_len).min(WHOLE.len()));
        let mut reader = StreamReader::new(stream.as_slice());
        let mut commands = 0;
        while let Ok(Some(_)) = reader.next_command() {
            commands += 1;
            prop_assert!(commands <= stream.len());
        }
    }

    #[test]
    fn a_cut_stream_with_an_announced_end_is_refused(cut in 13..WHOLE.len() - 13) {
        let mut reader = StreamReader::new(&WHOLE.as_bytes()[..cut]);
        let end = loop {
            match reader.next_command() {
                Ok(None) => break true,
                Ok(Some(_)) => {}
                Err(_) => break false,
            }
        };
        prop_assert!(!end);
    }
}
