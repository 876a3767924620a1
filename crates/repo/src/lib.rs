//! Everything Confman can do, as functions over a view that end in a transaction.
//!
//! A [`Repo`] is the door to one node; a [`Session`] is what one actor can do there. Each method
//! takes one view, asks `policy`, reads objects and answers; one that changes something collects
//! every ref it read and ends in one transaction, and is evaluated again where a ref moved meanwhile.
//!
//! INVARIANT: there is no way in without an actor, and no method that does not ask `policy`.
//! INVARIANT: an answer never mixes two views.
//! INVARIANT: a method's work is proportional to what it changes or returns, not to the namespace.
//!
//! Deliberately absent: HTTP, JSON shapes, runtimes, and the system's clock (see [`Clock`]).

pub mod actor;
pub mod backup;
mod chain;
pub mod clock;
pub mod cluster;
pub mod compare;
pub mod compiled;
pub mod deletion;
mod derived;
pub mod directory;
pub mod draft;
pub mod editor;
pub mod effective;
pub mod entry;
pub mod error;
mod evaluation;
pub mod explain;
pub mod fetch;
pub mod following;
pub mod fsck;
pub mod group;
pub mod history;
pub mod issuer;
mod life;
mod line;
pub mod log;
pub mod names;
pub mod namespace;
pub mod operation;
pub mod preview;
pub mod principal;
pub mod publish;
pub mod push;
pub mod reading;
mod record;
pub mod repo;
pub mod request;
pub mod resolution;
pub mod restored;
mod review;
pub mod revision;
mod rollout;
pub mod rotation;
mod row;
mod rows;
pub mod schema;
pub mod search;
mod seen;
pub mod session;
mod settings;
pub mod sign_in;
mod stack;
pub mod tag;
pub mod time;
pub mod token;
mod validation;

pub use actor::Actor;
pub use backup::BackupHead;
pub use clock::{Clock, ManualClock, SystemClock};
pub use cluster::{JoinTokenInfo, NewJoinToken};
pub use compare::{Comparison, EntryChange};
pub use compiled::{CompiledDocument, CompiledEntry, CompiledLink};
pub use deletion::{DeletedNamespace, MovedNamespaces};
pub use draft::{ChangeDraft, Draft, Drafted, EntryEdit, ExpectedHead, ValueEdit};
pub use effective::{Effective, EffectiveEntry, EffectiveValue, Provenance};
pub use entry::{
    ConfigEntry, DraftSide, Entries, EntriesQuery, PublishedSide, Stamp, TreeEntry, Values,
};
pub use error::{Error, KeyConflict, Problem, What};
pub use explain::{
    ChainPart, EffectiveNamespace, EffectiveSetting, ExplainedLink, ExplainedSchema, Explanation,
    PermissionReport,
};
pub use fetch::{FetchPlan, FetchRequest, FetchedRef};
pub use following::{Differences, Following, Missed, Moved};
pub use fsck::{FsckProgress, FsckReport};
pub use group::{GroupInfo, Named};
pub use history::{Blame, BlameLine, History, Version};
pub use issuer::IssuerInfo;
pub use log::{CommitInfo, Log, LogQuery};
pub use namespace::{
    DocumentChange, DocumentHistory, DocumentVersion, NamespaceInfo, Namespaces, UpdatedNamespace,
};
pub use operation::{
    LoggedOperation, OperationBound, OperationFilter, Operations, SealedOperation,
};
pub use preview::{EffectiveKeyChange, NamespaceChanges, Preview, Proposed, VoidChange};
pub use principal::{NewPrincipal, PrincipalChange, PrincipalInfo};
pub use publish::{Publish, Published, Rollback, Warning};
pub use push::{ImportMark, ImportState, PushEdit, PushRequest, PushTarget, Pushed};
pub use reading::{DOCUMENTS_BYTES_MAX_DEFAULT, DocumentsStatus, Reader};
pub use repo::{Repo, RepoOptions};
pub use revision::ResolvedRevision;
pub use rollout::Rollout;
pub use rotation::{Rotation, Rotations};
pub use schema::{
    PutSchema, SchemaCheck, SchemaHistory, SchemaInfo, SchemaSummary, SchemaVersion, SchemaWritten,
    SchemasPage,
};
pub use search::{Found, SearchQuery};
pub use session::{Origin, Session, Whoami, WhoamiToken};
pub use sign_in::{Purpose, SignIn, SignedIn};
pub use tag::Tag;
pub use token::{NewToken, Token, TokenInfo};

// What the signatures here are made of, for callers that may not depend on those crates themselves.
pub use confman_model::{
    DraftName, Key, Namespace, NamespaceDocument, Revision, SchemaPath, TagName,
};

pub use confman_layout as layout;
pub use confman_model as model;
pub use confman_model::identity;
pub use confman_object_store as objects;
pub use confman_policy as policy;
pub use confman_refs as refs;
