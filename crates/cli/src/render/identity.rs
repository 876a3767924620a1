//! Principals, groups, tokens, issuers, and who one is.

use confman_api::identity::{Group, Issuer, Principal, Scope, Token};
use confman_api::system::Whoami;

use crate::render::time;
use crate::text::{Role, Text};

/// Members of a group that a list shows.
const MEMBERS_SHOWN_MAX: usize = 5;

/// One token a line.
pub(crate) fn tokens(tokens: &[Token]) -> Text {
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            vec![
                (Role::Id, token.id.clone()),
                (Role::Heading, token.principal.clone()),
                (Role::Plain, scope(token.scope.as_ref())),
                (Role::Plain, end(token)),
                (Role::Faint, token.name.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

/// What is said beside a token that was made.
pub(crate) fn token_made(token: &Token) -> Text {
    let mut text = Text::new();
    text.plain("token ").push(Role::Id, &token.id);
    text.plain(&format!(
        " of {} for {}, {}; it is shown this once",
        token.principal,
        scope(token.scope.as_ref()),
        end(token)
    ));
    text.end_line();
    text
}

fn scope(scope: Option<&Scope>) -> String {
    scope.map_or_else(|| "everything".to_owned(), ToString::to_string)
}

fn end(token: &Token) -> String {
    match (&token.expires, token.expired) {
        (None, _) => "until revoked".to_owned(),
        (Some(end), false) => format!("until {}", time(end)),
        (Some(end), true) => format!("over since {}", time(end)),
    }
}

/// One principal a line.
pub(crate) fn principals(principals: &[Principal]) -> Text {
    let rows: Vec<_> = principals
        .iter()
        .map(|principal| {
            vec![
                (Role::Heading, principal.name.clone()),
                (Role::Plain, state(principal)),
                (Role::Plain, principal.groups.join(" ")),
                (Role::Faint, principal.display_name.clone()),
                (Role::Faint, principal.email.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

fn state(principal: &Principal) -> String {
    match principal.disabled {
        true => format!("{}, disabled", principal.kind),
        false => principal.kind.to_string(),
    }
}

/// One principal.
pub(crate) fn principal(principal: &Principal) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &principal.name)
        .plain(&format!(" ({})", state(principal)))
        .end_line();
    let mut line = |what: &str, value: &str| {
        if !value.is_empty() {
            text.faint(&format!("  {what:<9}")).plain(value).end_line();
        }
    };
    line("name", &principal.display_name);
    line("email", &principal.email);
    line("groups", &principal.groups.join(" "));
    if let Some(identity) = &principal.identity {
        line(
            "identity",
            &format!("{} of {}", identity.subject, identity.issuer),
        );
    }
    line(
        "changed",
        &format!(
            "{} by {}",
            time(&principal.updated_at),
            principal.updated_by
        ),
    );
    text
}

/// One group a line.
pub(crate) fn groups(groups: &[Group]) -> Text {
    let rows: Vec<_> = groups
        .iter()
        .map(|group| {
            let mut members: Vec<&str> = group
                .members
                .iter()
                .take(MEMBERS_SHOWN_MAX)
                .map(String::as_str)
                .collect();
            if group.members.len() > MEMBERS_SHOWN_MAX {
                members.push("…");
            }
            vec![
                (Role::Heading, group.name.clone()),
                (Role::Plain, group.members.len().to_string()),
                (Role::Plain, members.join(" ")),
                (Role::Faint, group.description.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

/// One group with all its members.
pub(crate) fn group(group: &Group) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &group.name);
    if !group.description.is_empty() {
        text.faint("  ").faint(&group.description);
    }
    text.end_line();
    for member in &group.members {
        text.plain("  ").plain(member).end_line();
    }
    text
}

/// One issuer a line.
pub(crate) fn issuers(issuers: &[Issuer]) -> Text {
    let rows: Vec<_> = issuers
        .iter()
        .map(|issuer| {
            vec![
                (Role::Heading, issuer.name.clone()),
                (Role::Plain, issuer.document.url.clone()),
                (Role::Plain, uses(issuer)),
            ]
        })
        .collect();
    super::columns(&rows)
}

fn uses(issuer: &Issuer) -> String {
    let uses = [
        issuer.document.client_id.as_ref().map(|_| "login"),
        issuer.document.audience.as_ref().map(|_| "exchange"),
    ];
    uses.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// One issuer.
pub(crate) fn issuer(issuer: &Issuer) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &issuer.name).end_line();
    let document = serde_json::to_string_pretty(&issuer.document).unwrap_or_default();
    text.block(Role::Plain, "  ", &document);
    text
}

/// Who one is to a server.
pub(crate) fn whoami(whoami: &Whoami, server: &str) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &whoami.principal);
    if !whoami.name.is_empty() && whoami.name != whoami.principal {
        text.plain(&format!(" ({})", whoami.name));
    }
    text.plain(&format!(" at {server}, draft/{}", whoami.draft))
        .end_line();
    if !whoami.groups.is_empty() {
        text.faint("  groups  ")
            .plain(&whoami.groups.join(" "))
            .end_line();
    }
    let Some(token) = &whoami.token else {
        return text;
    };
    text.faint("  token   ").push(Role::Id, &token.id);
    if !token.name.is_empty() {
        text.plain(" ").plain(&token.name);
    }
    text.plain(" for ").plain(&scope(token.scope.as_ref()));
    if let Some(end) = &token.expires {
        text.plain(", until ").plain(&time(end));
    }
    text.end_line();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(document: &str) -> Token {
        serde_json::from_str(document).unwrap()
    }

    #[test]
    fn tokens_line_up_and_say_what_they_leave() {
        let all = [
            token(
                r#"{"id":"0123456789abcdef","principal":"ann","name":"laptop","expired":false,
                "createdAt":"2026-11-25T10:00:00Z","createdBy":"ann"}"#,
            ),
            token(
                r#"{"id":"aaaa456789abcdef","principal":"ci","scope":{"namespace":"/teams/payments","role":"editor"},
                "expires":"2026-12-01T00:00:00Z","expired":true,"createdAt":"2026-11-25T10:00:00Z","createdBy":"admin"}"#,
            ),
        ];
        insta::assert_snapshot!(tokens(&all).to_plain(), @r"
        0123456789abcdef  ann  everything                 until revoked                    laptop
        aaaa456789abcdef  ci   editor in /teams/payments  over since 2026-12-01 00:00:00Z
        ");
        insta::assert_snapshot!(token_made(&all[0]).to_plain(), @"token 0123456789abcdef of ann for everything, until revoked; it is shown this once");
    }

    #[test]
    fn a_principal_says_who_vouches_for_it() {
        let ann: Principal = serde_json::from_str(
            r#"{"name":"ann","kind":"user","displayName":"Ann O.","email":"ann@company.com","disabled":true,
            "identity":{"issuer":"corp","subject":"1"},"groups":["dev","all"],"record":"ab",
            "updatedAt":"2026-11-25T10:00:00.5Z","updatedBy":"admin"}"#,
        )
        .unwrap();
        insta::assert_snapshot!(principal(&ann).to_plain(), @r"
        ann (user, disabled)
          name     Ann O.
          email    ann@company.com
          groups   dev all
          identity 1 of corp
          changed  2026-11-25 10:00:00Z by admin
        ");
        insta::assert_snapshot!(principals(&[ann]).to_plain(), @"ann  user, disabled  dev all  Ann O.  ann@company.com");
    }

    #[test]
    fn whoami_says_what_the_token_leaves() {
        let me: Whoami = serde_json::from_str(
            r#"{"principal":"ci","kind":"service","name":"CI","groups":["bots"],"draft":"ci","token":
            {"id":"0123456789abcdef","name":"build","scope":{"namespace":"/a","role":"viewer"},
            "expires":"2026-12-01T00:00:00Z"}}"#,
        )
        .unwrap();
        insta::assert_snapshot!(whoami(&me, "http://x").to_plain(), @r"
        ci (CI) at http://x, draft/ci
          groups  bots
          token   0123456789abcdef build for viewer in /a, until 2026-12-01 00:00:00Z
        ");
    }
}
