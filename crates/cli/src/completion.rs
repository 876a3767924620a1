//! What a shell offers where the cursor is: namespaces, keys, revisions, drafts, requests and tags, as
//! the server has them.
//!
//! INVARIANT: it never fails and never takes long; where the server is away or slow, nothing is offered.

use std::ffi::OsStr;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use confman_client::ClientError;
use confman_client::client::{EntriesQuery, RequestsQuery};
use confman_model::Namespace;

use crate::args::GlobalArgs;
use crate::context::{Connection, Context};
use crate::place::Place;
use crate::profile::Profiles;
use crate::working_directory::namespace_or_here;

/// How long the server may take to answer.
const COMPLETION_TIME_MAX: Duration = Duration::from_secs(1);
/// Most keys, and most requests, that are offered.
const OFFERED_MAX: usize = 500;

/// The command line with what completes its arguments.
pub(crate) fn completing(command: Command) -> Command {
    let command = command.mut_args(complete);
    command.mut_subcommands(completing)
}

fn complete(argument: Arg) -> Arg {
    let offers: fn(&str) -> Option<Vec<Offer>> = match argument.get_id().as_str() {
        "place" | "from" | "to" => addresses,
        "namespace" | "under" | "prefix" => namespaces,
        "draft" => drafts,
        "request" => requests,
        "keys" => keys,
        "tag" if argument.is_positional() => tags,
        "profile" => profiles,
        _ => return argument,
    };
    argument.add(ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_str().unwrap_or_default();
        let offers = offers(current).unwrap_or_default().into_iter();
        offers
            .filter(|(offer, _)| offer.starts_with(current))
            .map(|(offer, help)| CompletionCandidate::new(offer).help(help.map(Into::into)))
            .collect::<Vec<_>>()
    }))
}

/// What is offered, and what is said about it.
type Offer = (String, Option<String>);

fn plain(offer: String) -> Offer {
    (offer, None)
}

/// Who is asked.
struct Asked {
    connection: Rc<Connection>,
    words: Vec<String>,
}

impl Asked {
    /// The server that the words so far, the environment or the profiles choose.
    fn new() -> Option<Self> {
        let words: Vec<String> = std::env::args().skip_while(|word| word != "--").collect();
        let global = GlobalArgs {
            server: flag(&words, "--server"),
            profile: flag(&words, "--profile"),
            token_file: flag(&words, "--token-file").map(Into::into),
            quiet: true,
            ..GlobalArgs::default()
        };
        let connection = Context::new(global, None).connect().ok()?;
        Some(Self { connection, words })
    }

    fn answer<T>(&self, work: impl Future<Output = Result<T, ClientError>>) -> Option<T> {
        self.connection.within(COMPLETION_TIME_MAX, work)
    }

    /// The namespace that a word so far names, else that of the working copy.
    fn namespace(&self) -> Option<Namespace> {
        let mut places = self.words.iter().filter_map(|word| word.parse().ok());
        let named = places.find_map(|place: Place| place.namespace);
        namespace_or_here(named.as_ref()).ok()
    }

    fn keys(&self, namespace: &Namespace, prefix: &str) -> Option<Vec<String>> {
        let query = EntriesQuery {
            prefix: Some(prefix.to_owned()),
            without_values: true,
            limit: Some(OFFERED_MAX),
            ..EntriesQuery::default()
        };
        let entries = self.connection.client.entries(namespace, &query, None);
        let entries = self.answer(entries)?.items.into_iter();
        Some(entries.map(|entry| entry.key).collect())
    }

    fn drafts(&self, namespace: &Namespace) -> Option<Vec<String>> {
        let drafts = self.answer(self.connection.client.drafts(namespace))?;
        Some(drafts.into_iter().map(|draft| draft.name).collect())
    }

    fn tags(&self, namespace: &Namespace) -> Option<Vec<String>> {
        let tags = self.answer(self.connection.client.tags(namespace))?;
        Some(tags.into_iter().map(|tag| tag.name).collect())
    }
}

/// What follows a flag, or its `=`.
fn flag(words: &[String], name: &str) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == name {
            return words.next().cloned();
        }
        if let Some(value) = word
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value.to_owned());
        }
    }
    None
}

fn namespaces(_: &str) -> Option<Vec<Offer>> {
    let asked = Asked::new()?;
    let found = asked.answer(asked.connection.client.namespaces(None))?;
    let offer = |found: confman_api::namespace::NamespaceSummary| {
        let help = (!found.display_name.is_empty()).then_some(found.display_name);
        (found.path, help)
    };
    Some(found.into_iter().map(offer).collect())
}

/// A namespace; after `:` its keys, after `@` its revisions.
fn addresses(current: &str) -> Option<Vec<Offer>> {
    let before = |mark| current.split_once(mark);
    let named = |namespace: &str| match namespace {
        "" => namespace_or_here(None).ok(),
        namespace => namespace.parse::<Namespace>().ok(),
    };
    if let Some((place, key)) = before(':') {
        let asked = Asked::new()?;
        let namespace = named(place.split('@').next().unwrap_or_default())?;
        let keys = asked.keys(&namespace, key)?.into_iter();
        return Some(keys.map(|key| plain(format!("{place}:{key}"))).collect());
    }
    if let Some((place, _)) = before('@') {
        let asked = Asked::new()?;
        let namespace = named(place)?;
        let drafts = asked.drafts(&namespace).unwrap_or_default().into_iter();
        let tags = asked.tags(&namespace).unwrap_or_default().into_iter();
        let revisions = std::iter::once("published".to_owned())
            .chain(drafts.map(|draft| format!("draft/{draft}")))
            .chain(tags);
        let offers = revisions.map(|revision| plain(format!("{place}@{revision}")));
        return Some(offers.collect());
    }
    namespaces(current)
}

fn drafts(_: &str) -> Option<Vec<Offer>> {
    let asked = Asked::new()?;
    let drafts = asked.drafts(&asked.namespace()?)?;
    Some(drafts.into_iter().map(plain).collect())
}

fn tags(_: &str) -> Option<Vec<Offer>> {
    let asked = Asked::new()?;
    let tags = asked.tags(&asked.namespace()?)?;
    Some(tags.into_iter().map(plain).collect())
}

fn keys(current: &str) -> Option<Vec<Offer>> {
    let asked = Asked::new()?;
    let keys = asked.keys(&asked.namespace()?, current)?;
    Some(keys.into_iter().map(plain).collect())
}

/// Requests that are open, by their numbers, with their titles.
fn requests(_: &str) -> Option<Vec<Offer>> {
    let asked = Asked::new()?;
    let query = RequestsQuery {
        state: Some("open".to_owned()),
        limit: Some(OFFERED_MAX),
        ..RequestsQuery::default()
    };
    let page = asked.answer(asked.connection.client.requests(&query, None))?;
    let offer = |request: confman_api::request::PublishRequest| {
        let number = request.id.trim_start_matches("pr-").to_owned();
        (number, Some(request.title))
    };
    Some(page.items.into_iter().map(offer).collect())
}

fn profiles(_: &str) -> Option<Vec<Offer>> {
    let profiles = Profiles::load(&Profiles::path().ok()?).ok()?;
    let offer = |(name, profile): (String, crate::profile::Profile)| (name, Some(profile.server));
    Some(profiles.profiles.into_iter().map(offer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_among_the_words() {
        let words = [
            "--",
            "confman",
            "get",
            "--server",
            "http://x",
            "--profile=p",
        ];
        let words = words.map(str::to_owned);
        assert_eq!(flag(&words, "--server").as_deref(), Some("http://x"));
        assert_eq!(flag(&words, "--profile").as_deref(), Some("p"));
        assert_eq!(flag(&words, "--token-file"), None);
    }
}
