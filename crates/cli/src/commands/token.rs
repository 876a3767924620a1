use clap::Subcommand;
use confman_api::identity::{PrincipalName, Scope, TokenWrite};
use confman_client::client::TokensOf;
use confman_model::Namespace;
use confman_model::document::RoleName;

use crate::context::Context;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::text::{Text, escape};

/// Create, list and revoke tokens
///
/// Examples:
///   confman token create --name laptop --expires 90d > token
///   confman token create --name CI --principal ci --scope /teams/payments --role editor > token
///   confman token list
///   confman token revoke 0123456789abcdef
///
/// A token is printed once, when it is created, and never again. It can leave less than its
/// principal may do: a namespace with all below it, and a highest role. It is revoked at
/// once, on every node; there is no way back.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token and print it, alone, on stdout
    Create {
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        name: String,
        /// Whose; your own if nobody is named
        #[arg(long, value_parser = name::<PrincipalName>)]
        principal: Option<PrincipalName>,
        /// The namespace it is for, with all below it
        #[arg(long, value_name = "NAMESPACE", value_parser = name::<Namespace>)]
        scope: Option<Namespace>,
        /// The highest role it has: viewer, editor, publisher or admin
        #[arg(long, value_parser = role)]
        role: Option<RoleName>,
        /// When it ends: a span as in 90d or 12h, or a time as in 2027-01-01T00:00:00Z
        #[arg(long, value_name = "WHEN", value_parser = end)]
        expires: Option<String>,
    },
    /// List tokens, without the tokens themselves
    List {
        /// Those of somebody else
        #[arg(long, value_parser = name::<PrincipalName>)]
        principal: Option<PrincipalName>,
        /// Everybody's
        #[arg(long, conflicts_with = "principal")]
        all: bool,
    },
    /// Revoke a token
    Revoke {
        /// Its id, as `list` shows it; never the token itself
        id: String,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        match self.command {
            TokenCommand::Create {
                name,
                principal,
                scope,
                role,
                expires,
            } => {
                let scope = match (scope, role) {
                    (None, None) => None,
                    (namespace, role) => Some(Scope {
                        namespace: namespace.unwrap_or_else(Namespace::root),
                        role: role.unwrap_or(RoleName::Admin),
                    }),
                };
                let write = TokenWrite {
                    principal,
                    name,
                    scope,
                    expires,
                };
                let made = connection.wait(connection.client.create_token(&write))?;
                cx.ui.say(&render::identity::token_made(&made.token));
                Ok(Report::one(made, |made| Text::line(&made.secret)))
            }
            TokenCommand::List { principal, all } => {
                let of = match (principal, all) {
                    (Some(principal), _) => TokensOf::Principal(principal),
                    (None, true) => TokensOf::All,
                    (None, false) => TokensOf::Mine,
                };
                let tokens = connection.wait(connection.client.tokens(&of))?;
                Ok(listed(cx, tokens, |tokens| {
                    render::identity::tokens(tokens)
                }))
            }
            TokenCommand::Revoke { id } => {
                check_id(&id, "token", "confman token list")?;
                connection.wait(connection.client.revoke_token(&id))?;
                cx.ui.note(&format!("revoked token {id}"));
                Ok(Report::nothing())
            }
        }
    }
}

/// Fails where what was given as the id of a token cannot be one: the token itself, most likely, which must not be
/// sent or shown.
pub(super) fn check_id(id: &str, what: &str, list: &str) -> Result<(), CliError> {
    let is_id = id
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    match is_id {
        true => Ok(()),
        false => Err(CliError::usage(format!(
            "that is not the id of a {what}, which has digits 0-9 and a-f"
        ))
        .next(format!("`{list}` shows the ids"))),
    }
}

/// Tokens: one after the other as JSON, or all of them as text.
pub(super) fn listed<T: serde::Serialize + 'static>(
    cx: &Context,
    tokens: Vec<T>,
    render: fn(&Vec<T>) -> Text,
) -> Report {
    if cx.ui.json {
        let tokens = tokens.into_iter();
        return Report::stream(tokens.map(|token| Ok(output(token, |_| Text::new()))));
    }
    Report::one(tokens, render).paged()
}

fn role(text: &str) -> Result<RoleName, String> {
    let roles = [
        RoleName::Viewer,
        RoleName::Editor,
        RoleName::Publisher,
        RoleName::Admin,
    ];
    let found = roles.into_iter().find(|role| role.name() == text);
    found.ok_or_else(|| {
        format!(
            "`{}` is no role; there are viewer, editor, publisher and admin",
            escape(text)
        )
    })
}

/// Reads when something ends, as RFC 3339: a time, or a span from now.
pub(super) fn end(text: &str) -> Result<String, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.to_string());
    }
    let wrong = || {
        format!(
            "`{}` is neither a span as in `90d` or `12h` nor a time as in `2027-01-01T00:00:00Z`",
            escape(text)
        )
    };
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let end = jiff::Timestamp::now()
        .to_zoned_datetime(jiff::tz::TimeZone::UTC)
        .checked_add(span)
        .map_err(|_| wrong())?;
    Ok(end.timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_or_a_span_from_now() {
        assert_eq!(
            end("2027-01-01T01:00:00+01:00").unwrap(),
            "2027-01-01T00:00:00Z"
        );
        let day = end("1d").unwrap().parse::<jiff::Timestamp>().unwrap();
        let hours = (day.as_second() - jiff::Timestamp::now().as_second()) / 3600;
        assert!((23..=24).contains(&hours), "{hours}");
        assert!(end("soon").is_err() && end("").is_err());
    }
}
