//! Commits.

use confman_api::commit::{Commit, Person};

use crate::render::time;
use crate::text::{Role, Text, short};

/// A commit as `log` shows it.
pub(crate) fn full(commit: &Commit) -> Text {
    let mut text = header(commit);
    text.end_line();
    text.block(Role::Plain, "    ", commit.message.trim_end());
    text.end_line();
    text
}

/// A commit without its message.
fn header(commit: &Commit) -> Text {
    let mut text = Text::new();
    text.push(Role::Id, &format!("commit {}", commit.id))
        .end_line();
    if commit.parents.len() > 1 {
        let parents: Vec<_> = commit.parents.iter().map(|parent| short(parent)).collect();
        text.faint("merges    ")
            .plain(&parents.join(" "))
            .end_line();
    }
    text.faint("author    ")
        .plain(&person(&commit.author))
        .faint(", ")
        .plain(&time(&commit.authored_at))
        .end_line();
    if commit.committer != commit.author {
        text.faint("committer ")
            .plain(&person(&commit.committer))
            .faint(", ")
            .plain(&time(&commit.committed_at))
            .end_line();
    }
    if let Some(request) = &commit.publish_request_id {
        text.faint("request   ").plain(request).end_line();
    }
    text
}

/// A commit with everything there is to say about it.
pub(crate) fn whole(commit: &Commit) -> Text {
    let mut text = header(commit);
    text.faint("tree      ").plain(&commit.tree).end_line();
    if let Some(origin) = &commit.origin {
        text.faint("draft     ").plain(origin).end_line();
    }
    if let Some(source) = &commit.source {
        text.faint("source    ").plain(source).end_line();
    }
    text.end_line();
    text.block(Role::Plain, "    ", commit.message.trim_end());
    text.end_line();
    text
}

/// `0123456789ab 2026-11-20 alice: why`.
pub(crate) fn one_line(commit: &Commit) -> Text {
    let mut text = Text::new();
    text.push(Role::Id, short(&commit.id)).plain(" ");
    let day = commit.committed_at.split('T').next().unwrap_or_default();
    text.faint(day)
        .plain(" ")
        .faint(short_name(&commit.author))
        .plain(" ");
    text.plain(commit.message.lines().next().unwrap_or_default())
        .end_line();
    text
}

/// `alice (Alice Doe <alice@company.com>)`, with what is known of it.
pub(crate) fn person(person: &Person) -> String {
    let contact = match (person.name.as_str(), person.email.as_str()) {
        ("", "") => String::new(),
        (name, "") => name.to_owned(),
        ("", email) => format!("<{email}>"),
        (name, email) => format!("{name} <{email}>"),
    };
    match (person.principal.as_str(), contact.as_str()) {
        ("", "") => "nobody".to_owned(),
        ("", contact) => contact.to_owned(),
        (principal, "") => principal.to_owned(),
        (principal, contact) if principal == contact => principal.to_owned(),
        (principal, contact) => format!("{principal} ({contact})"),
    }
}

fn short_name(person: &Person) -> &str {
    [&person.principal, &person.name, &person.email]
        .into_iter()
        .find(|name| !name.is_empty())
        .map_or("nobody", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Commit {
        Commit {
            id: "ab".repeat(32),
            tree: "cd".repeat(32),
            parents: vec!["01".repeat(32), "02".repeat(32)],
            generation: 7,
            namespace: "/teams/payments".to_owned(),
            author: Person {
                principal: String::new(),
                name: "Alice".to_owned(),
                email: "alice@company.com".to_owned(),
            },
            authored_at: "2026-11-20T10:00:00+01:00".to_owned(),
            committer: Person {
                principal: "bob".to_owned(),
                ..Person::default()
            },
            committed_at: "2026-11-20T12:00:00Z".to_owned(),
            change_id: "00".repeat(16),
            message: "Raise the limit\n\nIt was too low.\n".to_owned(),
            origin: Some("ef".repeat(32)),
            publish_request_id: Some("pr-456".to_owned()),
            source: None,
            keys: None,
        }
    }

    #[test]
    fn a_commit_in_a_log() {
        insta::assert_snapshot!(full(&commit()).to_marked(), @"
        [Id:commit abababababababababababababababababababababababababababababababab]
        [Faint:merges    ]010101010101 020202020202
        [Faint:author    ]Alice <alice@company.com>[Faint:, ]2026-11-20 10:00:00+01:00
        [Faint:committer ]bob[Faint:, ]2026-11-20 12:00:00Z
        [Faint:request   ]pr-456

            Raise the limit

            It was too low.
        ");
    }

    #[test]
    fn a_commit_in_one_line() {
        insta::assert_snapshot!(one_line(&commit()).to_plain(), @"abababababab 2026-11-20 Alice Raise the limit");
    }

    #[test]
    fn a_commit_by_itself() {
        insta::assert_snapshot!(whole(&commit()).to_plain(), @"
        commit abababababababababababababababababababababababababababababababab
        merges    010101010101 020202020202
        author    Alice <alice@company.com>, 2026-11-20 10:00:00+01:00
        committer bob, 2026-11-20 12:00:00Z
        request   pr-456
        tree      cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
        draft     efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef

            Raise the limit

            It was too low.
        ");
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let hostile = Commit {
            message: "ok\x1b]0;owned\x07\rno".to_owned(),
            ..commit()
        };
        let plain = full(&hostile).to_plain();
        assert!(!plain.contains(['\x1b', '\x07', '\r']), "{plain:?}");
    }
}
