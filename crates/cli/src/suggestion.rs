//! What was probably meant where a namespace or a key is not found.

use std::time::Duration;

use confman_client::client::EntriesQuery;
use confman_model::{Key, Namespace};

use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::exit::Exit;
use crate::likeness::closest;
use crate::place::Place;
use crate::working_directory::namespace_or_here;

/// How long the server may take to tell what there is.
const SUGGESTION_TIME_MAX: Duration = Duration::from_secs(2);

/// Adds to an error what may have been meant.
pub(crate) fn suggest(cx: &Context, place: Option<&Place>, error: CliError) -> CliError {
    let may_help = error.exit == Exit::NotFound && error.next.is_none();
    let (true, Some(place), Ok(connection)) = (may_help, place, cx.connect()) else {
        return error;
    };
    let Ok(namespace) = namespace_or_here(place.namespace.as_ref()) else {
        return error;
    };
    match meant(&connection, &namespace, place.key.as_ref()) {
        Some(meant) => error.next(format!("did you mean {meant}?")),
        None => error,
    }
}

/// The namespace or address that is most like the one that there is not.
fn meant(connection: &Connection, namespace: &Namespace, key: Option<&Key>) -> Option<String> {
    let all = connection.within(SUGGESTION_TIME_MAX, connection.client.namespaces(None))?;
    let paths = || all.iter().map(|found| found.path.as_str());
    if !paths().any(|path| path == namespace.as_str()) {
        let meant = closest(namespace.as_str(), paths())?;
        return Some(match key {
            Some(key) => format!("{meant}:{key}"),
            None => meant.to_owned(),
        });
    }
    let key = key?;
    let document = connection.within(
        SUGGESTION_TIME_MAX,
        connection.client.effective_document(namespace, None),
    );
    let mut keys: Vec<String> = document
        .map(|document| {
            document
                .entries
                .into_iter()
                .map(|entry| entry.key)
                .collect()
        })
        .unwrap_or_default();
    let own = EntriesQuery {
        without_values: true,
        ..EntriesQuery::default()
    };
    let own = connection.within(
        SUGGESTION_TIME_MAX,
        connection.client.entries(namespace, &own, None),
    );
    keys.extend(
        own.into_iter()
            .flat_map(|page| page.items)
            .map(|entry| entry.key),
    );
    let meant = closest(key.as_str(), keys.iter().map(String::as_str))?;
    Some(format!("{namespace}:{meant}"))
}
