mod files;

use clap::Subcommand;
use confman_api::schema::SchemaCheck;
use confman_client::PutSchema;
use confman_model::{Namespace, SchemaPath};
use serde_json::value::RawValue;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::input::Input;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// Most bytes of a schema file.
const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Write and check the schemas that published configuration must satisfy
///
/// Examples:
///   confman schema infer /teams/payments > base.json               # a proposal to begin with
///   confman schema check /schemas/teams/payments/base base.json    # what it would break
///   confman schema check                                           # the files of a working copy, offline
///   confman schema set /schemas/teams/payments/base base.json -m "first rules"
///   confman schema diff /schemas/teams/payments/base base.json     # does it narrow or widen?
///   confman schema show /schemas/teams/payments/base
///
/// A schema is JSON Schema (2020-12) over the effective document of a namespace: one object
/// whose members are its keys. A namespace attaches one in its document (`schema.$ref`); a
/// child must satisfy those of its parents too. A schema may refer to others by their path.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// List the schemas you may read
    List {
        /// Only below this path, written without `/schemas`
        #[arg(value_parser = name::<Namespace>)]
        prefix: Option<Namespace>,
    },
    /// Print a schema
    Show {
        /// The schema, as /schemas/payments/base
        #[arg(value_parser = name::<SchemaPath>)]
        path: SchemaPath,
    },
    /// Write a schema; refused where it would break what is published
    Set {
        /// The schema, as /schemas/payments/base
        #[arg(value_parser = name::<SchemaPath>)]
        path: SchemaPath,
        /// File with the document; `-` for stdin
        file: Input,
        /// Why
        #[arg(long, short)]
        message: Option<String>,
        /// Write it though what is published breaks it
        #[arg(long)]
        force: bool,
    },
    /// Say what is wrong with a schema and what it would break, or in a working copy with its files
    ///
    /// Without arguments, the files of the working copy are checked against the schemas that came
    /// with the last clone or pull, together with what they inherit; no server is asked. Where what
    /// is known does not tell, that is said, and the exit code is 1.
    Check {
        /// The schema that the file would become; the files of the working copy if left out
        #[arg(value_parser = name::<SchemaPath>, requires = "file")]
        path: Option<SchemaPath>,
        /// File with the document; `-` for stdin
        file: Option<Input>,
    },
    /// Say, place by place, whether a file narrows or widens a schema
    Diff {
        /// The schema as it is
        #[arg(value_parser = name::<SchemaPath>)]
        path: SchemaPath,
        /// File with the other document; `-` for stdin
        file: Input,
    },
    /// Propose a schema that accepts what is published in a namespace
    Infer {
        /// The namespace
        #[arg(value_parser = name::<Namespace>)]
        namespace: Namespace,
    },
    /// List the versions of a schema
    History {
        /// The schema
        #[arg(value_parser = name::<SchemaPath>)]
        path: SchemaPath,
    },
    /// Delete a schema that nothing uses
    Delete {
        /// The schema
        #[arg(value_parser = name::<SchemaPath>)]
        path: SchemaPath,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        if let SchemaCommand::Check { path: None, .. } = &self.command {
            return files::check(cx);
        }
        let connection = cx.connect()?;
        match self.command {
            SchemaCommand::List { prefix } => {
                let found = connection.wait(connection.client.schemas(prefix.as_ref()))?;
                Ok(Report::stream(
                    found
                        .into_iter()
                        .map(|schema| Ok(output(schema, render::schema::summary))),
                ))
            }
            SchemaCommand::Show { path } => {
                let found = connection.wait(connection.client.schema(&path))?;
                Ok(Report::one(found, render::schema::one))
            }
            SchemaCommand::Set {
                path,
                file,
                message,
                force,
            } => {
                let document = read(&file)?;
                let put = PutSchema { force, message };
                let done = connection.wait(connection.client.put_schema(&path, &document, &put))?;
                for broken in &done.broken {
                    cx.ui.warn(&format!("is broken now: {}", broken.detail));
                }
                Ok(Report::one(done, render::schema::written))
            }
            SchemaCommand::Check { path, file } => {
                let (Some(path), Some(file)) = (path, file) else {
                    return files::check(cx);
                };
                let document = read(&file)?;
                let found = connection.wait(connection.client.check_schema(&path, &document))?;
                Ok(checked(found, render::schema::check))
            }
            SchemaCommand::Diff { path, file } => {
                let document = read(&file)?;
                let found = connection.wait(connection.client.check_schema(&path, &document))?;
                if !found.problems.is_empty() {
                    return Ok(checked(found, render::schema::check));
                }
                Ok(Report::one(found.change, render::schema::change))
            }
            SchemaCommand::Infer { namespace } => {
                let found = connection.wait(connection.client.infer_schema(&namespace))?;
                let mut text = found.get().to_owned();
                text.push('\n');
                Ok(Report::bytes(text.into_bytes()))
            }
            SchemaCommand::History { path } => {
                let found = connection.wait(connection.client.schema_history(&path))?;
                Ok(Report::stream(found.into_iter().map(|version| {
                    Ok(output(version, render::schema::version))
                })))
            }
            SchemaCommand::Delete { path, yes } => {
                let found = connection.wait(connection.client.schema(&path))?;
                cx.ui.confirm(&format!("delete {path}?"), yes)?;
                connection.wait(connection.client.delete_schema(&path))?;
                cx.ui
                    .note(&format!("deleted {path}; it was {}", found.commit));
                Ok(Report::nothing())
            }
        }
    }
}

/// A check ends with 6 where something is wrong.
fn checked(found: SchemaCheck, render: fn(&SchemaCheck) -> crate::text::Text) -> Report {
    let exit = match found.valid {
        true => Exit::Ok,
        false => Exit::Invalid,
    };
    Report {
        exit,
        ..Report::one(found, render)
    }
}

fn read(file: &Input) -> Result<Box<RawValue>, CliError> {
    let bytes = file.read_all(SCHEMA_BYTES_MAX)?;
    let invalid = |why: String| CliError::invalid("the file is no JSON document").because(why);
    let text = String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))?;
    RawValue::from_string(text.trim().to_owned()).map_err(|error| invalid(error.to_string()))
}
