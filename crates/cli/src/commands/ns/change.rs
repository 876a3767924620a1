//! Changes of a namespace's document. What was shown is what is changed: the commit that was seen goes with
//! every change.

use confman_api::namespace::UpdatedNamespace;
use confman_client::client::SeenDocument;
use confman_model::document::{RoleName, Roles};
use confman_model::{EntryType, Namespace};
use serde_json::{Map, Value, json};

use crate::context::{Connection, Context};
use crate::editor;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::Report;

/// Reads the name of a role for clap.
fn role(text: &str) -> Result<RoleName, String> {
    serde_json::from_value(Value::String(text.to_owned()))
        .map_err(|_| "the roles are admin, publisher, editor and viewer".to_owned())
}

/// Give a role in a namespace and all below it
#[derive(Debug, clap::Args)]
pub(super) struct Grant {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// admin, publisher, editor or viewer
    #[arg(value_parser = role)]
    role: RoleName,
    /// To whom: principals, and groups as group:NAME
    #[arg(required = true, value_name = "WHO")]
    who: Vec<String>,
}

/// Take a role away that the namespace itself grants
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// admin, publisher, editor or viewer
    #[arg(value_parser = role)]
    role: RoleName,
    /// From whom
    #[arg(required = true, value_name = "WHO")]
    who: Vec<String>,
}

/// Change what the document of a namespace says
///
/// Examples:
///   confman ns set /teams/payments requireApproval=true minApprovers=2
///   confman ns set /teams/payments environment=production 'secretSchemes=["vault"]'
///   confman ns set /teams/payments minApprovers=       # as inherited again
///   confman ns set /teams/payments --owner payments-team@company.com --schema /payments/base
///
/// A value is JSON, or else text. `confman ns show --effective` lists the settings.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Set {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Settings; without a value, as inherited
    #[arg(value_name = "SETTING=VALUE", value_parser = setting)]
    settings: Vec<(String, Value)>,
    /// Its name for people
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Who answers for it
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// The schema that its effective values must satisfy; '' for none of its own
    #[arg(long, value_name = "PATH")]
    schema: Option<String>,
    /// Whether it takes values, roles, schemas and settings from the namespace above
    #[arg(long, value_name = "BOOL")]
    inherit: Option<bool>,
    /// Change it though what is published breaks the rules that hold then
    #[arg(long)]
    force: bool,
}

/// Change the document of a namespace in an editor
///
/// Opens $VISUAL or $EDITOR with the document as JSON, and applies what was saved, unless
/// the document moved meanwhile.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Edit {
    /// The namespace
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Change it though what is published breaks the rules that hold then
    #[arg(long)]
    force: bool,
}

/// Reads `NAME=VALUE` for clap.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or("a setting is written NAME=VALUE, as in minApprovers=2")?;
    let value = match value {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    };
    Ok((name.to_owned(), value))
}

fn seen(connection: &Connection, namespace: &Namespace) -> Result<SeenDocument, CliError> {
    connection.wait(connection.client.seen_namespace(namespace))
}

fn report(cx: &Context, updated: UpdatedNamespace) -> Report {
    for warning in &updated.warnings {
        cx.ui.warn(warning);
    }
    Report::one(updated, |updated| {
        render::namespace::document(&updated.document)
    })
}

fn holders(roles: &mut Roles, role: RoleName) -> (&'static str, &mut Vec<String>) {
    match role {
        RoleName::Admin => ("admin", &mut roles.admin),
        RoleName::Publisher => ("publisher", &mut roles.publisher),
        RoleName::Editor => ("editor", &mut roles.editor),
        RoleName::Viewer => ("viewer", &mut roles.viewer),
    }
}

impl Grant {
    pub(super) fn run(self, cx: &Context, connection: &Connection) -> Result<Report, CliError> {
        let mut seen = seen(connection, &self.namespace)?;
        let (name, holders) = holders(&mut seen.document.roles, self.role);
        for who in self.who {
            if !holders.contains(&who) {
                holders.push(who);
            }
        }
        let patch = json!({ "roles": { name: holders } });
        let updated = connection.wait(connection.client.patch_namespace(
            &self.namespace,
            &patch,
            Some(&seen.commit),
            false,
        ))?;
        Ok(report(cx, updated))
    }
}

impl Revoke {
    pub(super) fn run(self, cx: &Context, connection: &Connection) -> Result<Report, CliError> {
        let mut seen = seen(connection, &self.namespace)?;
        let (name, holders) = holders(&mut seen.document.roles, self.role);
        if let Some(stranger) = self.who.iter().find(|who| !holders.contains(*who)) {
            return Err(CliError::new(
                crate::exit::Exit::NotFound,
                format!(
                    "{} itself does not grant {name} to `{stranger}`",
                    self.namespace
                ),
            )
            .next(format!(
                "`confman ns explain {} --principal {stranger}` shows where the role comes from",
                self.namespace
            )));
        }
        holders.retain(|holder| !self.who.contains(holder));
        let patch = json!({ "roles": { name: holders } });
        let updated = connection.wait(connection.client.patch_namespace(
            &self.namespace,
            &patch,
            Some(&seen.commit),
            false,
        ))?;
        Ok(report(cx, updated))
    }
}

impl Set {
    fn patch(self) -> Value {
        let mut patch = Map::new();
        let texts = [
            ("displayName", self.display_name),
            ("description", self.description),
            ("owner", self.owner),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                patch.insert(name.to_owned(), text.into());
            }
        }
        if let Some(schema) = self.schema {
            let schema = match schema.as_str() {
                "" => Value::Null,
                path => json!({ "$ref": path }),
            };
            patch.insert("schema".to_owned(), schema);
        }
        if let Some(inherit) = self.inherit {
            patch.insert("inherit".to_owned(), inherit.into());
        }
        if !self.settings.is_empty() {
            let settings: Map<String, Value> = self.settings.into_iter().collect();
            patch.insert("settings".to_owned(), settings.into());
        }
        Value::Object(patch)
    }

    pub(super) fn run(self, cx: &Context, connection: &Connection) -> Result<Report, CliError> {
        let (namespace, force) = (self.namespace.clone(), self.force);
        let patch = self.patch();
        if patch.as_object().is_some_and(Map::is_empty) {
            return Err(CliError::usage("nothing to set is named").next(format!(
                "name settings, as in `confman ns set {namespace} minApprovers=2`, or see --help"
            )));
        }
        let updated = connection.wait(
            connection
                .client
                .patch_namespace(&namespace, &patch, None, force),
        )?;
        Ok(report(cx, updated))
    }
}

impl Edit {
    pub(super) fn run(self, cx: &Context, connection: &Connection) -> Result<Report, CliError> {
        let seen = seen(connection, &self.namespace)?;
        let text = seen.document.to_text();
        let edited = editor::edit(cx, EntryType::Json, text.as_bytes())?;
        let edited = String::from_utf8(edited)
            .map_err(|_| CliError::invalid("what the editor saved is not UTF-8"))?;
        if edited == text {
            cx.ui.note("nothing was changed");
            return Ok(Report::nothing());
        }
        let replaced = connection.wait(connection.client.replace_namespace(
            &self.namespace,
            edited.clone(),
            Some(&seen.commit),
            self.force,
        ));
        match replaced {
            Ok(updated) => Ok(report(cx, updated)),
            Err(error) => {
                let kept = editor::keep(&edited, ".json")?;
                cx.ui
                    .note(&format!("what you wrote is kept in {}", kept.display()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_json_or_else_text_and_nothing_takes_them_back() {
        let table = [
            "minApprovers=2",
            "environment=production",
            "requireApproval=true",
            r#"secretSchemes=["vault"]"#,
            "minApprovers=",
            "environment=a=b",
            "nothing",
            "=x",
        ];
        let shown: Vec<String> = table
            .iter()
            .map(|text| match setting(text) {
                Ok((name, value)) => format!("{name}: {value}"),
                Err(why) => why,
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        minApprovers: 2
        environment: "production"
        requireApproval: true
        secretSchemes: ["vault"]
        minApprovers: null
        environment: "a=b"
        a setting is written NAME=VALUE, as in minApprovers=2
        a setting is written NAME=VALUE, as in minApprovers=2
        "#);
    }

    #[test]
    fn a_patch_says_only_what_was_asked_for() {
        let set = Set {
            namespace: "/a".parse().unwrap(),
            settings: vec![setting("minApprovers=2").unwrap()],
            display_name: None,
            description: None,
            owner: Some(String::new()),
            schema: Some(String::new()),
            inherit: Some(false),
            force: false,
        };
        insta::assert_snapshot!(set.patch().to_string(), @r#"{"owner":"","schema":null,"inherit":false,"settings":{"minApprovers":2}}"#);
    }
}
