//! `confman schema check` of the files of a working copy.

use confman_client::working_copy::SchemaReport;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::Report;
use crate::text::{Text, count};
use crate::working_directory::need;

/// Checks the files against the schemas that were fetched.
pub(super) fn check(cx: &Context) -> Result<Report, CliError> {
    let here = need()?;
    here.say_remarks(cx);
    let report = here.copy.check_schemas(&[])?;
    for unknown in &report.unknown {
        cx.ui.warn(unknown);
    }
    for warning in &report.validation.warnings {
        cx.ui.warn(warning);
    }
    let exit = match (report.validation.valid, report.unknown.is_empty()) {
        (false, _) => Exit::Invalid,
        (true, false) => Exit::Failure,
        (true, true) => Exit::Ok,
    };
    if cx.ui.json {
        let summary = Text::new();
        return Ok(Report::one(report.validation, move |_| summary.clone()).exiting(exit));
    }
    match exit {
        Exit::Ok => Ok(Report::one(report.validation.clone(), move |_| satisfied(&report))),
        Exit::Invalid => {
            let broken = count(report.validation.violations.len(), "rule");
            let error = CliError {
                items: report.validation.violations,
                ..CliError::invalid(format!("the files break {broken} of the schemas"))
            };
            Err(here
                .pointing(error)
                .next("edit the files; `confman explain :KEY` shows which schemas speak of a key"))
        }
        _ => Err(
            CliError::new(exit, "whether the files satisfy the schemas cannot be told here")
                .because(report.unknown.join("; "))
                .next("`confman pull` fetches what you may read; a server checks all of it when you push and publish"),
        ),
    }
}

/// `the files satisfy 2 schemas, with 31 effective values`.
fn satisfied(report: &SchemaReport) -> Text {
    let mut text = Text::new();
    match report.schemas {
        0 => text.plain("no schema applies to the files"),
        schemas => text.plain(&format!(
            "the files satisfy {}, with {}",
            count(schemas, "schema"),
            count(report.values, "effective value")
        )),
    };
    text.end_line();
    text
}
