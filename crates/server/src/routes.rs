//! Handlers: each reads what is asked, asks the session, and answers. They decide nothing.

pub(crate) mod backup;
pub(crate) mod cluster;
pub(crate) mod commits;
pub(crate) mod config;
pub(crate) mod drafts;
pub(crate) mod entries;
pub(crate) mod explain;
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod issuers;
pub(crate) mod namespaces;
pub(crate) mod ofrep;
pub(crate) mod operations;
pub(crate) mod page;
pub(crate) mod principals;
pub(crate) mod publish;
pub(crate) mod requests;
pub(crate) mod schemas;
pub(crate) mod search;
pub(crate) mod sign_in;
pub(crate) mod spring;
pub(crate) mod sync;
pub(crate) mod system;
pub(crate) mod tags;
pub(crate) mod tokens;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
