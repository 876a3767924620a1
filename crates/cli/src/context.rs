//! What a command works with: how to print, whom to talk to, where it is.
//!
//! Nothing is set up before a command needs it: `confman --version` starts no runtime and no TLS.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use confman_api::entry::TreeEntry;
use confman_client::client::EntriesQuery;
use confman_client::{Client, ClientOptions};
use confman_model::Namespace;

use crate::args::GlobalArgs;
use crate::error::CliError;
use crate::interrupt;
use crate::jq::Filter;
use crate::profile::Profiles;
use crate::settings::{Chosen, Settings};
use crate::ui::Ui;
use crate::working_directory;

/// How long a small request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request that failed in transit is sent again.
const REQUEST_RETRIES: u32 = 3;

/// What a command works with.
pub(crate) struct Context {
    /// How to print.
    pub(crate) ui: Ui,
    global: GlobalArgs,
    connection: OnceCell<Rc<Connection>>,
}

/// A server and the runtime that talks to it.
pub(crate) struct Connection {
    /// The server, as us.
    pub(crate) client: Client,
    waiting: Waiting,
}

impl Context {
    pub(crate) fn new(global: GlobalArgs, filter: Option<Filter>) -> Self {
        Self {
            ui: global.ui().filtering(filter),
            global,
            connection: OnceCell::new(),
        }
    }

    /// Which server and token are chosen, and by what.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        let profiles = Profiles::load(&Profiles::path()?)?;
        let working_copy = working_directory::server()?;
        Settings::resolve(
            &self.global.chosen(),
            &Chosen::from_environment(),
            working_copy.as_deref(),
            &profiles,
        )
    }

    /// What the flags alone choose.
    pub(crate) fn flags(&self) -> Chosen {
        self.global.chosen()
    }

    /// The connection to the chosen server; nothing is sent yet.
    pub(crate) fn connect(&self) -> Result<Rc<Connection>, CliError> {
        if let Some(connection) = self.connection.get() {
            return Ok(Rc::clone(connection));
        }
        let settings = self.settings()?;
        let server = settings.server()?;
        let token = settings.token()?;
        let by = |from: Option<&str>| from.unwrap_or("nothing").to_owned();
        self.ui.detail(&format!(
            "server {server} by {}, token by {}",
            by(settings.server.as_ref().map(|it| it.from.as_str())),
            by(settings.token.as_ref().map(|it| it.from.as_str())),
        ));
        let connection = Rc::new(Connection::new(server, token.as_deref())?);
        Ok(Rc::clone(self.connection.get_or_init(|| connection)))
    }
}

/// Which of the readers we are, where something is published gradually.
pub(crate) fn client_id() -> Option<String> {
    std::env::var("CONFMAN_CLIENT_ID")
        .ok()
        .filter(|id| !id.is_empty())
}

impl Connection {
    /// Prepares to talk to a server.
    pub(crate) fn new(server: &str, token: Option<&str>) -> Result<Self, CliError> {
        let options = ClientOptions {
            timeout: REQUEST_TIMEOUT,
            retries: REQUEST_RETRIES,
            user_agent: concat!("confman/", env!("CARGO_PKG_VERSION")).to_owned(),
            client_id: client_id(),
        };
        let client = Client::new(server, token, options)?;
        Ok(Self {
            client,
            waiting: Waiting::new()?,
        })
    }

    /// Waits for an answer, or for Ctrl-C.
    pub(crate) fn wait<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, CliError>
    where
        CliError: From<E>,
    {
        self.waiting.wait(work)
    }

    /// The entries that a namespace itself has, fetched page by page as they are taken.
    pub(crate) fn entries<'c>(
        &'c self,
        namespace: &'c Namespace,
        query: &'c EntriesQuery,
    ) -> impl Iterator<Item = Result<TreeEntry, CliError>> + 'c {
        pages(None, move |cursor: Option<&str>| {
            let page = self.wait(self.client.entries(namespace, query, cursor))?;
            Ok((page.items, page.next))
        })
    }

    /// What comes within so long; nothing where it takes longer or fails.
    pub(crate) fn within<T, E>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Option<T> {
        let answer = self
            .waiting
            .0
            .block_on(async { tokio::time::timeout(time, work).await });
        answer.ok()?.ok()
    }
}

/// A runtime for what is no request of a connection.
pub(crate) struct Waiting(tokio::runtime::Runtime);

impl Waiting {
    pub(crate) fn new() -> Result<Self, CliError> {
        Ok(Self(runtime()?))
    }

    /// Waits for work to be done, or for Ctrl-C.
    pub(crate) fn wait<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, CliError>
    where
        CliError: From<E>,
    {
        interrupt::listen();
        self.0.block_on(async {
            tokio::select! {
                biased;
                () = interrupt::asked() => Err(interrupt::error()),
                result = work => result.map_err(CliError::from),
            }
        })
    }
}

/// A runtime on this thread alone.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::io("cannot start the runtime", &error))
}

/// A list that is fetched page by page as it is taken, up to `limit` items.
pub(crate) fn pages<T, P>(limit: Option<usize>, page: P) -> Pages<T, P>
where
    P: FnMut(Option<&str>) -> Result<(Vec<T>, Option<String>), CliError>,
{
    Pages {
        page,
        cursor: None,
        items: Vec::new().into_iter(),
        more: true,
        left: limit,
    }
}

/// See [`pages`].
pub(crate) struct Pages<T, P> {
    page: P,
    cursor: Option<String>,
    items: std::vec::IntoIter<T>,
    more: bool,
    left: Option<usize>,
}

impl<T, P> Iterator for Pages<T, P>
where
    P: FnMut(Option<&str>) -> Result<(Vec<T>, Option<String>), CliError>,
{
    type Item = Result<T, CliError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == Some(0) {
            return None;
        }
        loop {
            if let Some(item) = self.items.next() {
                self.left = self.left.map(|left| left - 1);
                return Some(Ok(item));
            }
            if !self.more {
                return None;
            }
            match (self.page)(self.cursor.as_deref()) {
                Err(error) => {
                    self.more = false;
                    return Some(Err(error));
                }
                Ok((items, next)) => {
                    self.items = items.into_iter();
                    self.more = next.is_some();
                    self.cursor = next;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn fetch(cursor: Option<&str>) -> Result<(Vec<u32>, Option<String>), CliError> {
        match cursor {
            None => Ok((vec![1, 2], Some("b".to_owned()))),
            Some("b") => Ok((Vec::new(), Some("c".to_owned()))),
            Some("c") => Ok((vec![3], None)),
            Some(other) => Err(CliError::new(Exit::Bug, other)),
        }
    }

    #[test]
    fn pages_follow_one_another_and_empty_ones_do_not_end_the_list() {
        let all: Vec<_> = pages(None, fetch).map(Result::unwrap).collect();
        assert_eq!(all, [1, 2, 3]);
    }

    #[test]
    fn a_limit_fetches_no_more_than_it_needs() {
        let mut asked = 0;
        let some: Vec<_> = pages(Some(2), |cursor: Option<&str>| {
            asked += 1;
            fetch(cursor)
        })
        .map(Result::unwrap)
        .collect();
        assert_eq!((some, asked), (vec![1, 2], 1));
    }

    #[test]
    fn an_error_ends_the_list() {
        let mut list = pages(
            None,
            |_: Option<&str>| -> Result<(Vec<u32>, Option<String>), CliError> {
                Err(CliError::new(Exit::Failure, "x"))
            },
        );
        assert!(list.next().unwrap().is_err());
        assert!(list.next().is_none());
    }
}
