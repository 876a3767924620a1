//! Commits of a working copy's mirror as the API writes them.

use confman_api::commit::{Commit, Person};
use confman_client::Moment;
use confman_client::working_copy::Logged;
use jiff::Timestamp;
use jiff::tz::Offset;

/// A commit of the mirror as the API writes it.
pub(crate) fn document(logged: &Logged) -> Commit {
    let commit = &logged.commit;
    Commit {
        id: logged.id.to_string(),
        tree: commit.tree.to_string(),
        parents: commit.parents.iter().map(ToString::to_string).collect(),
        generation: commit.generation,
        namespace: commit.namespace.clone(),
        author: person(&commit.author),
        authored_at: rfc3339(commit.author_time),
        committer: person(&commit.committer),
        committed_at: rfc3339(commit.commit_time),
        change_id: hex(&commit.change_id),
        message: commit.message.clone(),
        origin: commit.origin.as_ref().map(ToString::to_string),
        publish_request_id: commit.request.map(|number| format!("pr-{number}")),
        source: commit.source.as_ref().map(|source| hex(source)),
        keys: None,
    }
}

fn person(person: &confman_client::Person) -> Person {
    Person {
        principal: person.principal.clone(),
        name: person.name.clone(),
        email: person.email.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A moment as its clock told it, as in `2026-11-20T10:00:00+01:00`.
pub(crate) fn rfc3339(moment: Moment) -> String {
    let offset = Offset::from_seconds(i32::from(moment.offset_minutes) * 60);
    match (Timestamp::from_millisecond(moment.ms), offset) {
        (Ok(at), Ok(offset)) if offset == Offset::UTC => at.to_string(),
        (Ok(at), Ok(offset)) => at.display_with_offset(offset).to_string(),
        _ => format!("{} ms", moment.ms),
    }
}

/// This moment, with the offset of this machine's clock.
pub(crate) fn now() -> Moment {
    let now = jiff::ZonedDateTime::now();
    let minutes = now.offset().seconds() / 60;
    Moment {
        ms: now.timestamp().as_millisecond(),
        offset_minutes: i16::try_from(minutes).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_the_offset_of_their_clock() {
        let at = |ms, offset_minutes| rfc3339(Moment { ms, offset_minutes });
        assert_eq!(at(1_700_000_000_000, 60), "2023-11-14T23:13:20+01:00");
        assert_eq!(at(1_700_000_000_000, 0), "2023-11-14T22:13:20Z");
        assert_eq!(at(1_700_000_000_000, -210), "2023-11-14T18:43:20-03:30");
    }
}
