//! Comments that people write between entries, and where they go when the file is written again.
//!
//! INVARIANT: none is lost. A comment stays with the entry that it is above or beside; what was said of an
//! entry that goes, or inside of one that is written anew, moves up to where the next entry begins.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use confman_model::Key;

use super::entries::{EntriesFile, Line};

/// What is read over and no comment.
const COMMA: &str = ",";

/// What a comment is said about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The file, before its bracket.
    File,
    /// `$schema`.
    Schema,
    /// An entry.
    Entry(Key),
    /// The end of the entries.
    End,
}

/// The comments of a file, but for those inside of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Comments {
    /// On lines of their own, before what they are about.
    above: BTreeMap<Subject, Vec<String>>,
    /// On the line of what they are about, behind it.
    beside: BTreeMap<Subject, Vec<String>>,
}

/// A member of the file.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) subject: Subject,
    /// Where its name begins.
    pub(super) name: usize,
    /// Where what it leads to stands.
    pub(super) value: Range<usize>,
}

impl Comments {
    /// The comments among `extras` that stand outside of `members`, which are in the order of the text.
    pub(super) fn read(text: &str, extras: &[Range<usize>], members: &[Placed]) -> Self {
        let mut comments = Self::default();
        let is_extra = |at: usize| extras.iter().any(|extra| extra.contains(&at));
        let bracket = |found: Option<(usize, _)>, otherwise| found.map_or(otherwise, |(at, _)| at);
        let opens = text.match_indices('{').find(|(at, _)| !is_extra(*at));
        let closes = text.rmatch_indices('}').find(|(at, _)| !is_extra(*at));
        let (opens, closes) = (bracket(opens, 0), bracket(closes, text.len()));
        for extra in extras {
            let comment = text.get(extra.clone()).unwrap_or_default();
            if comment == COMMA {
                continue;
            }
            let next = members.partition_point(|member| member.name <= extra.start);
            let before = next.checked_sub(1).and_then(|before| members.get(before));
            let same_line = before.filter(|member| {
                let between = text.get(member.value.end..extra.start);
                between.is_some_and(|between| !between.contains('\n'))
            });
            let (place, subject) = match (before, same_line, members.get(next)) {
                _ if extra.start < opens => (&mut comments.above, Subject::File),
                _ if extra.start > closes => (&mut comments.beside, Subject::End),
                // Between the name and what it leads to.
                (Some(member), _, _) if extra.start < member.value.start => {
                    (&mut comments.above, member.subject.clone())
                }
                (Some(member), _, _) if extra.start < member.value.end => continue,
                (_, Some(member), _) => (&mut comments.beside, member.subject.clone()),
                (_, None, Some(member)) => (&mut comments.above, member.subject.clone()),
                (_, None, None) => (&mut comments.above, Subject::End),
            };
            place.entry(subject).or_default().push(comment.to_owned());
        }
        comments
    }

    /// Those that stand where the entries are `kept`, and where these lines of `file` are written anew.
    pub(super) fn carried<'l>(
        &self,
        file: &EntriesFile,
        anew: impl IntoIterator<Item = (&'l Key, &'l Line)>,
        kept: &BTreeSet<&Key>,
    ) -> Self {
        let mut all = self.clone();
        for (key, line) in anew {
            let inside = file.extras.iter().map(|extra| (extra, file.text_at(extra)));
            let inside = inside
                .filter(|(extra, text)| {
                    *text != COMMA && line.at.start <= extra.start && extra.end <= line.at.end
                })
                .map(|(_, text)| text.to_owned());
            let inside: Vec<String> = inside.collect();
            if !inside.is_empty() {
                let above = all.above.entry(Subject::Entry(key.clone()));
                above.or_default().extend(inside);
            }
        }
        let mut subjects: BTreeSet<Subject> =
            all.above.keys().chain(all.beside.keys()).cloned().collect();
        subjects.extend(kept.iter().map(|key| Subject::Entry((*key).clone())));
        subjects.insert(Subject::End);
        let mut carried = Self::default();
        let mut moving: Vec<String> = Vec::new();
        for subject in subjects {
            let above = all.above.remove(&subject).unwrap_or_default();
            let beside = all.beside.remove(&subject).unwrap_or_default();
            let stays = match &subject {
                Subject::Entry(key) => kept.contains(key),
                Subject::Schema => file.schema.is_some(),
                Subject::File | Subject::End => true,
            };
            if !stays {
                moving.extend(above.into_iter().chain(beside));
                continue;
            }
            // The file's own are before the bracket, where nothing moves to.
            let before = match subject {
                Subject::File => Vec::new(),
                _ => std::mem::take(&mut moving),
            };
            let above: Vec<String> = before.into_iter().chain(above).collect();
            if !above.is_empty() {
                carried.above.insert(subject.clone(), above);
            }
            if !beside.is_empty() {
                carried.beside.insert(subject, beside);
            }
        }
        carried
    }

    /// Those above something.
    pub(super) fn above(&self, subject: &Subject) -> &[String] {
        self.above.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Those beside something.
    pub(super) fn beside(&self, subject: &Subject) -> &[String] {
        self.beside.get(subject).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::entries::render_file;
    use super::*;

    const TEXT: &str = "// of the file
{ // the schema
  \"$schema\": \"s\", /* ours */
  // of a, 1
  /* of a,
     2 */
  \"a\": {\"value\": 1}, // beside a
  \"c\": /* before */ {\"value\": [1, // inside c
    2]},
  // of b
  \"b\": {\"value\": 3} // beside b
  , // of none
}
// after
";

    fn written(anew: &[&str], kept: &[(&str, &str)]) -> String {
        let file = EntriesFile::parse(Path::new("entries.json"), TEXT.to_owned()).unwrap();
        let lines: Vec<(Key, &str)> = kept
            .iter()
            .map(|(key, text)| (key.parse().unwrap(), *text))
            .collect();
        let anew: Vec<Key> = anew.iter().map(|key| key.parse().unwrap()).collect();
        let anew = anew.iter().filter_map(|key| file.lines.get_key_value(key));
        let comments =
            file.comments
                .carried(&file, anew, &lines.iter().map(|(key, _)| key).collect());
        let text = render_file(
            file.schema.as_deref(),
            lines.iter().map(|(key, text)| (key, *text)),
            &comments,
        );
        let again = EntriesFile::parse(Path::new("entries.json"), text.clone()).unwrap();
        assert_eq!(again.comments, comments, "{text}");
        text
    }

    #[test]
    fn comments_stay_with_what_they_are_about() {
        insta::assert_snapshot!(written(&[], &[("a", "A"), ("b", "B"), ("c", "C")].map(|(key, _)| (key, "{\"value\": 0}"))), @r#"
        // of the file
        {
          // the schema
          "$schema": "s", /* ours */
          // of a, 1
          /* of a,
             2 */
          "a": {"value": 0}, // beside a
          // of b
          "b": {"value": 0}, // beside b
          /* before */
          "c": {"value": 0}
          // of none
        }
        // after
        "#);
    }

    #[test]
    fn comments_of_what_goes_or_is_written_anew_move_up_to_the_next() {
        insta::assert_snapshot!(written(&["b", "c"], &[("a", "{\"value\": 0}"), ("c", "{\"value\": 9}")]), @r#"
        // of the file
        {
          // the schema
          "$schema": "s", /* ours */
          // of a, 1
          /* of a,
             2 */
          "a": {"value": 0}, // beside a
          // of b
          // beside b
          /* before */
          // inside c
          "c": {"value": 9}
          // of none
        }
        // after
        "#);
        insta::assert_snapshot!(written(&["a", "b", "c"], &[]), @r#"
        // of the file
        {
          // the schema
          "$schema": "s" /* ours */
          // of a, 1
          /* of a,
             2 */
          // beside a
          // of b
          // beside b
          /* before */
          // inside c
          // of none
        }
        // after
        "#);
    }
}
