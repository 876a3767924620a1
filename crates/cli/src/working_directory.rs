//! The working copy that the current directory lies in, if any.

use std::path::{Path, PathBuf};

use confman_api::problem::ProblemItem;
use confman_client::WorkingCopy;
use confman_client::working_copy::{FileProblem, PRIVATE_DIRECTORY};
use confman_model::Namespace;
use confman_model::json::Pointer;

use crate::context::Context;
use crate::error::{CliError, file_item};
#[cfg(unix)]
use crate::exit::Exit;
use crate::place::no_namespace;

/// Working copies of other users that are trusted, separated by `:`; `*` for all.
#[cfg(unix)]
const TRUSTED_VARIABLE: &str = "CONFMAN_TRUSTED_DIRECTORIES";

/// A working copy and the namespace whose directory we are in.
pub(crate) struct Here {
    /// The working copy.
    pub(crate) copy: WorkingCopy,
    /// The namespace.
    pub(crate) namespace: Namespace,
}

impl Here {
    /// Says what is read over in the files. Where they cannot be read, the command says so itself.
    pub(crate) fn say_remarks(&self, cx: &Context) {
        for remark in self.copy.remarks().unwrap_or_default() {
            cx.ui.warn(&remark.to_string());
        }
    }
}

impl Here {
    /// The error with what it says about keys pointing into the files.
    pub(crate) fn pointing(&self, error: CliError) -> CliError {
        let mut excerpts = Vec::new();
        let mut items = Vec::new();
        for item in error.items {
            let (item, excerpt) = match self.place_of(&item) {
                Some(place) => file_item(place),
                None => (item, None),
            };
            items.push(item);
            excerpts.push(excerpt);
        }
        CliError { items, ..error }.with_excerpts(excerpts)
    }

    /// Where in the files something is that a server says about a key.
    fn place_of(&self, item: &ProblemItem) -> Option<FileProblem> {
        let (namespace, key) = (item.namespace.as_ref()?, item.key.as_ref()?);
        let whole: Pointer = item.pointer.as_deref().unwrap_or_default().parse().ok()?;
        // It leads through the effective document, whose members are keys.
        let within = whole
            .steps()
            .skip(1)
            .fold(Pointer::root(), |pointer, step| pointer.member(&step));
        let (path, name) = (namespace.parse().ok()?, key.parse().ok()?);
        let place = self.copy.locate(&path, &name, Some(&within)).ok()??;
        Some(FileProblem {
            what: format!("{namespace}:{key}: {}", item.detail),
            ..place
        })
    }
}

/// Where we are.
pub(crate) fn current() -> Result<PathBuf, CliError> {
    std::env::current_dir()
        .map_err(|error| CliError::io("cannot tell which directory this is", &error))
}

/// The working copy around the current directory.
pub(crate) fn find() -> Result<Option<Here>, CliError> {
    let current = current()?;
    let Some(root) = root_around(&current) else {
        return Ok(None);
    };
    check_owner(root)?;
    let copy = WorkingCopy::discover(&current)?;
    let namespace = copy.namespace_at(&current)?;
    Ok(Some(Here { copy, namespace }))
}

/// The working copy around the current directory, which this command needs.
pub(crate) fn need() -> Result<Here, CliError> {
    find()?.ok_or_else(|| {
        CliError::usage("this directory is no working copy")
            .because(format!(
                "neither it nor one above it has a {PRIVATE_DIRECTORY} directory"
            ))
            .next("`confman clone /some/namespace` makes one")
    })
}

/// The namespace that is named, else that of the working copy we are in.
pub(crate) fn namespace_or_here(named: Option<&Namespace>) -> Result<Namespace, CliError> {
    match named {
        Some(namespace) => Ok(namespace.clone()),
        None => find()?.map(|here| here.namespace).ok_or_else(no_namespace),
    }
}

/// The server of the working copy we are in.
pub(crate) fn server() -> Result<Option<String>, CliError> {
    Ok(find()?.map(|here| here.copy.server_url().to_owned()))
}

fn root_around(directory: &Path) -> Option<&Path> {
    let mut above = directory.ancestors();
    above.find(|above| above.join(PRIVATE_DIRECTORY).is_dir())
}

/// Refuses a working copy that another user has put here: what is in it would be carried out as us.
#[cfg(unix)]
fn check_owner(root: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::MetadataExt as _;

    let Ok(private) = std::fs::symlink_metadata(root.join(PRIVATE_DIRECTORY)) else {
        return Ok(());
    };
    let (owner, own) = (private.uid(), rustix::process::geteuid().as_raw());
    // Whoever is root by way of `sudo` works in their own directories.
    let by_sudo = std::env::var("SUDO_UID").ok().filter(|_| own == 0);
    let is_own = owner == own || owner == 0 || by_sudo.is_some_and(|uid| uid == owner.to_string());
    let trusted = std::env::var(TRUSTED_VARIABLE).unwrap_or_default();
    let is_trusted = || {
        trusted
            .split(':')
            .any(|path| path == "*" || Path::new(path) == root)
    };
    if is_own || is_trusted() {
        return Ok(());
    }
    let root = root.display();
    Err(CliError::new(
        Exit::NotAllowed,
        format!("the working copy {root} belongs to another user"),
    )
    .because("what somebody else put into it would be done with your rights and your token")
    .next(format!("if you trust its owner: {TRUSTED_VARIABLE}={root}")))
}

#[cfg(not(unix))]
fn check_owner(_root: &Path) -> Result<(), CliError> {
    Ok(())
}
