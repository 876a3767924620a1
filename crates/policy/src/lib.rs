//! Given who, what and the facts: allow or deny, and why.
//!
//! Everything is a pure function of its arguments: no store, no clock, no network. Whoever serves a
//! request gathers the facts from one view and asks here.
//!
//! INVARIANT: what no grant allows is denied; an empty chain denies everything.
//! INVARIANT: what a token's scope does not leave is denied, whatever is granted.
//! INVARIANT: a child cannot take away the roles that its chain grants, and `admin` on `/` always stands.

pub mod decision;
pub mod permission;
pub mod request;
pub mod schema;
pub mod violation;

pub use confman_model::Scope;
pub use confman_model::document::ANYONE;
pub use confman_model::document::RoleName as Role;
pub use decision::{Decision, Grant, Grants, GrantsAt, Subject, all_grants, decide, role_name};
pub use permission::{Permission, least_role, permits};
pub use violation::Violation;
