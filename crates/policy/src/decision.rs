//! Whether somebody may do something in a namespace, and by which grants.

use std::fmt;

use confman_model::document::{ANYONE, RoleName as Role, Roles};
use confman_model::identity::GROUP_PREFIX;
use confman_model::{Namespace, Scope};

use crate::permission::{Permission, least_role, permits};

/// What somebody is for whom secrets are resolved.
const RESOLVER: &str = "resolver";

/// Who asks: a principal, the groups it belongs to, and what its token leaves of its rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Name of the principal.
    pub principal: String,
    /// Names of its groups.
    pub groups: Vec<String>,
    /// What its token leaves; `None`: everything.
    pub scope: Option<Scope>,
}

impl Subject {
    /// A principal that belongs to no group.
    #[must_use]
    pub fn principal(name: &str) -> Self {
        Self {
            principal: name.to_owned(),
            groups: Vec::new(),
            scope: None,
        }
    }

    /// Whoever sends no token: in no group, and never more than a viewer.
    #[must_use]
    pub fn anyone() -> Self {
        Self {
            scope: Some(Scope {
                namespace: Namespace::root(),
                role: Role::Viewer,
            }),
            ..Self::principal(ANYONE)
        }
    }

    /// Whether a holder of a role, as a document names it, is this subject or a group of it. `anyone` is
    /// everybody, and as such never more than a viewer.
    fn is(&self, holder: &str, role: Role) -> bool {
        if holder == ANYONE {
            return role == Role::Viewer;
        }
        self.is_named(holder)
    }

    /// Whether this is the holder itself, or in the group that it is. Nobody is called `anyone`, but for
    /// whoever sends no token.
    fn is_named(&self, holder: &str) -> bool {
        match holder.strip_prefix(GROUP_PREFIX) {
            Some(group) => self.groups.iter().any(|own| own == group),
            None => holder == self.principal && holder != ANYONE,
        }
    }
}

/// The roles that the document of one namespace grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantsAt {
    /// Whose document.
    pub namespace: Namespace,
    /// Who holds which role.
    pub roles: Roles,
    /// For whom secrets are resolved; `None` where the document does not say.
    pub secret_resolvers: Option<Vec<String>>,
}

/// Every grant that counts in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The documents along its chain, itself first.
    pub chain: Vec<GrantsAt>,
    /// Those of `/`, whether or not the chain reaches it: its `admin` always stands.
    pub root: Roles,
}

/// One reason why somebody has a role, or is one of those for whom secrets are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose document says so.
    pub namespace: Namespace,
    /// The role it gives; `None` for a secret resolver.
    pub role: Option<Role>,
    /// To whom, as written there: a principal or `group:NAME`.
    pub holder: String,
}

impl Grant {
    /// What it makes of its holder: the name of a role, or `resolver`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.role.map_or(RESOLVER, role_name)
    }
}

/// The answer, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was asked.
    pub permission: Permission,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Highest role of the subject here, whatever its token leaves of it.
    pub role: Option<Role>,
    /// The grants that allow it; where it is denied, every grant the subject has.
    pub because: Vec<Grant>,
    /// The scope of the token, where that alone is why it is denied.
    pub outside: Option<Scope>,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.allowed {
            match least_role(self.permission) {
                Some(least) => write!(f, "{} needs role {}", self.permission, role_name(least))?,
                None => write!(
                    f,
                    "{} is for those that the setting `secretResolvers` names, whatever their role",
                    self.permission
                )?,
            }
            if let Some(scope) = &self.outside {
                return write!(f, ", the token is only for {scope}");
            }
            return match self.role {
                Some(role) => write!(f, ", the highest here is {}", role_name(role)),
                None => f.write_str(", there is none here"),
            };
        }
        write!(f, "{} is allowed by", self.permission)?;
        for (count, grant) in self.because.iter().enumerate() {
            let separator = if count == 0 { " " } else { ", " };
            write!(
                f,
                "{separator}{} of {} on {}",
                grant.name(),
                grant.holder,
                grant.namespace
            )?;
        }
        Ok(())
    }
}

/// The name of a role as documents have it.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    role.name()
}

/// Decides whether `subject` has `permission` where these grants count: in the first namespace of
/// their chain. What its token does not leave is denied whatever is granted.
#[must_use]
pub fn decide(grants: &Grants, subject: &Subject, permission: Permission) -> Decision {
    let held = held(grants, subject);
    let role = held.iter().filter_map(|grant| grant.role).max();
    if permission == Permission::SecretResolve {
        return decide_to_resolve(grants, subject, role, held);
    }
    let granted = role.is_some_and(|role| permits(role, permission));
    let outside = match &subject.scope {
        Some(scope) if granted && !leaves(scope, grants, permission) => Some(scope.clone()),
        _ => None,
    };
    let allowed = granted && outside.is_none();
    let because = if allowed {
        held.into_iter()
            .filter(|grant| grant.role.is_some_and(|role| permits(role, permission)))
            .collect()
    } else {
        held
    };
    Decision {
        permission,
        allowed,
        role,
        because,
        outside,
    }
}

/// Decides whether secrets are resolved for `subject`: no role gives that, but the nearest document that
/// says for whom. A token leaves it where its scope reaches, whatever role that leaves.
fn decide_to_resolve(
    grants: &Grants,
    subject: &Subject,
    role: Option<Role>,
    held: Vec<Grant>,
) -> Decision {
    let stated = grants.chain.iter().find_map(|at| {
        let holders = at.secret_resolvers.as_ref()?;
        Some((&at.namespace, holders))
    });
    let named: Vec<Grant> = stated
        .into_iter()
        .flat_map(|(namespace, holders)| {
            let own = holders.iter().filter(|holder| subject.is_named(holder));
            own.map(|holder| Grant {
                namespace: namespace.clone(),
                role: None,
                holder: holder.clone(),
            })
        })
        .collect();
    let outside = subject
        .scope
        .clone()
        .filter(|scope| !named.is_empty() && !reaches(scope, grants));
    let allowed = !named.is_empty() && outside.is_none();
    Decision {
        permission: Permission::SecretResolve,
        allowed,
        role,
        because: if allowed { named } else { held },
        outside,
    }
}

/// Whether a scope leaves a permission where these grants count.
fn leaves(scope: &Scope, grants: &Grants, permission: Permission) -> bool {
    reaches(scope, grants) && permits(scope.role, permission)
}

/// Whether a scope is about where these grants count.
fn reaches(scope: &Scope, grants: &Grants) -> bool {
    let here = grants.chain.first();
    here.is_some_and(|here| scope.namespace.contains(&here.namespace))
}

/// Every grant that counts, nearest namespace and highest role first.
#[must_use]
pub fn all_grants(grants: &Grants) -> Vec<Grant> {
    let mut all = Vec::new();
    for at in &grants.chain {
        for (role, holders) in by_role(&at.roles) {
            all.extend(holders.iter().map(|holder| Grant {
                namespace: at.namespace.clone(),
                role: Some(role),
                holder: holder.clone(),
            }));
        }
    }
    let root = Namespace::root();
    if !grants.chain.iter().any(|at| at.namespace == root) {
        all.extend(grants.root.admin.iter().map(|holder| Grant {
            namespace: root.clone(),
            role: Some(Role::Admin),
            holder: holder.clone(),
        }));
    }
    all
}

/// Every grant that the subject has, nearest namespace and highest role first.
fn held(grants: &Grants, subject: &Subject) -> Vec<Grant> {
    let mut held = Vec::new();
    for at in &grants.chain {
        for (role, holders) in by_role(&at.roles) {
            held.extend(granted(&at.namespace, role, holders, subject));
        }
    }
    let root = Namespace::root();
    if !grants.chain.iter().any(|at| at.namespace == root) {
        held.extend(granted(&root, Role::Admin, &grants.root.admin, subject));
    }
    held
}

fn by_role(roles: &Roles) -> [(Role, &[String]); 4] {
    [
        (Role::Admin, &roles.admin),
        (Role::Publisher, &roles.publisher),
        (Role::Editor, &roles.editor),
        (Role::Viewer, &roles.viewer),
    ]
}

fn granted<'a>(
    namespace: &'a Namespace,
    role: Role,
    holders: &'a [String],
    subject: &'a Subject,
) -> impl Iterator<Item = Grant> + 'a {
    holders
        .iter()
        .filter(move |holder| subject.is(holder, role))
        .map(move |holder| Grant {
            namespace: namespace.clone(),
            role: Some(role),
            holder: holder.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: [Role; 4] = [Role::Viewer, Role::Editor, Role::Publisher, Role::Admin];

    fn roles(grants: &[(Role, &str)]) -> Roles {
        let mut roles = Roles::default();
        for (role, holder) in grants {
            let holders = match role {
                Role::Viewer => &mut roles.viewer,
                Role::Editor => &mut roles.editor,
                Role::Publisher => &mut roles.publisher,
                Role::Admin => &mut roles.admin,
            };
            holders.push((*holder).to_owned());
        }
        roles
    }

    fn at(namespace: &str, grants: &[(Role, &str)]) -> GrantsAt {
        GrantsAt {
            namespace: namespace.parse().unwrap(),
            roles: roles(grants),
            secret_resolvers: None,
        }
    }

    /// A namespace that names for whom secrets are resolved.
    fn resolving(namespace: &str, holders: &[&str]) -> GrantsAt {
        let holders = holders.iter().map(|holder| (*holder).to_owned()).collect();
        GrantsAt {
            secret_resolvers: Some(holders),
            ..at(namespace, &[(Role::Admin, "ann")])
        }
    }

    fn check(grants: &Grants, subject: &Subject, permission: Permission) -> String {
        decide(grants, subject, permission).to_string()
    }

    #[test]
    fn every_role_anywhere_on_the_chain_gives_exactly_its_permissions() {
        for place in ["/a/b", "/a", "/"] {
            for role in ROLES {
                let chain: Vec<_> = ["/a/b", "/a", "/"]
                    .iter()
                    .map(|name| {
                        if *name == place {
                            at(name, &[(role, "ann")])
                        } else {
                            at(name, &[])
                        }
                    })
                    .collect();
                let root = chain.last().unwrap().roles.clone();
                let grants = Grants { chain, root };
                for permission in Permission::ALL {
                    let decision = decide(&grants, &Subject::principal("ann"), permission);
                    assert_eq!(
                        decision.allowed,
                        permits(role, permission),
                        "{role:?} on {place}: {permission}"
                    );
                    assert_eq!(decision.role, Some(role));
                    assert_eq!(
                        decision.because,
                        [Grant {
                            namespace: place.parse().unwrap(),
                            role: Some(role),
                            holder: "ann".into()
                        }]
                    );
                    assert!(!decide(&grants, &Subject::principal("bob"), permission).allowed);
                }
            }
        }
    }

    #[test]
    fn the_highest_of_all_grants_counts() {
        for low in ROLES {
            for high in ROLES {
                let grants = Grants {
                    chain: vec![at("/a", &[(low, "ann")]), at("/", &[(high, "ann")])],
                    root: roles(&[]),
                };
                let decision = decide(
                    &grants,
                    &Subject::principal("ann"),
                    Permission::NamespaceRead,
                );
                assert_eq!(decision.role, Some(low.max(high)));
            }
        }
    }

    #[test]
    fn nothing_is_allowed_without_a_grant() {
        let grants = Grants {
            chain: vec![],
            root: roles(&[]),
        };
        for permission in Permission::ALL {
            assert!(!decide(&grants, &Subject::principal("ann"), permission).allowed);
        }
        insta::assert_snapshot!(check(&grants, &Subject::principal("ann"), Permission::ConfigPublish), @"config:publish needs role publisher, there is none here");
    }

    #[test]
    fn where_the_chain_is_cut_only_admin_of_the_root_is_left() {
        let root = roles(&[(Role::Admin, "root"), (Role::Publisher, "pat")]);
        let grants = Grants {
            chain: vec![at("/cut", &[(Role::Viewer, "pat")])],
            root,
        };
        insta::assert_snapshot!(check(&grants, &Subject::principal("root"), Permission::NamespaceDelete), @"namespace:delete is allowed by admin of root on /");
        insta::assert_snapshot!(check(&grants, &Subject::principal("pat"), Permission::ConfigPublish), @"config:publish needs role publisher, the highest here is viewer");
    }

    #[test]
    fn groups_hold_roles_and_are_never_taken_for_principals() {
        let grants = Grants {
            chain: vec![at(
                "/a",
                &[(Role::Editor, "group:dev"), (Role::Admin, "dev")],
            )],
            root: roles(&[]),
        };
        let ann = Subject {
            principal: "ann".into(),
            groups: vec!["dev".into()],
            scope: None,
        };
        insta::assert_snapshot!(check(&grants, &ann, Permission::ConfigWriteDraft), @"config:write:draft is allowed by editor of group:dev on /a");
        insta::assert_snapshot!(check(&grants, &ann, Permission::SchemaWrite), @"schema:write needs role admin, the highest here is editor");
        let forger = Subject::principal("group:dev");
        assert!(!decide(&grants, &forger, Permission::NamespaceRead).allowed);
    }

    #[test]
    fn every_grant_that_allows_it_is_named() {
        let grants = Grants {
            chain: vec![
                at("/a/b", &[(Role::Viewer, "ann"), (Role::Publisher, "ann")]),
                at("/a", &[(Role::Admin, "ann")]),
            ],
            root: roles(&[]),
        };
        insta::assert_snapshot!(check(&grants, &Subject::principal("ann"), Permission::ConfigRollback), @"config:rollback is allowed by publisher of ann on /a/b, admin of ann on /a");
    }

    fn scoped(principal: &str, namespace: &str, role: Role) -> Subject {
        Subject {
            scope: Some(Scope {
                namespace: namespace.parse().unwrap(),
                role,
            }),
            ..Subject::principal(principal)
        }
    }

    #[test]
    fn a_token_leaves_what_is_both_granted_and_in_its_scope() {
        let root = roles(&[(Role::Publisher, "ann")]);
        for granted in ROLES {
            for left in ROLES {
                for (place, inside) in [
                    ("/a", true),
                    ("/a/b", true),
                    ("/", false),
                    ("/ab", false),
                    ("/c", false),
                ] {
                    let grants = Grants {
                        chain: vec![at(place, &[]), at("/", &[(granted, "ann")])],
                        root: root.clone(),
                    };
                    for permission in Permission::ALL {
                        let expected =
                            inside && permits(granted, permission) && permits(left, permission);
                        let decision = decide(&grants, &scoped("ann", "/a", left), permission);
                        assert_eq!(
                            decision.allowed, expected,
                            "{granted:?} ∩ {left:?} on {place}: {permission}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_denial_says_whether_the_token_is_the_reason() {
        let grants = Grants {
            chain: vec![at("/a", &[(Role::Publisher, "ann")])],
            root: roles(&[]),
        };
        let ann = scoped("ann", "/a", Role::Viewer);
        insta::assert_snapshot!(check(&grants, &ann, Permission::ConfigPublish), @"config:publish needs role publisher, the token is only for viewer in /a");
        insta::assert_snapshot!(check(&grants, &ann, Permission::SchemaWrite), @"schema:write needs role admin, the highest here is publisher");
        let elsewhere = scoped("ann", "/b", Role::Admin);
        insta::assert_snapshot!(check(&grants, &elsewhere, Permission::NamespaceRead), @"namespace:read needs role viewer, the token is only for admin in /b");
    }

    #[test]
    fn secrets_are_resolved_for_those_whom_the_nearest_document_names_and_for_no_role() {
        let root = roles(&[(Role::Admin, "root")]);
        let grants = |chain: Vec<GrantsAt>| Grants {
            chain,
            root: root.clone(),
        };
        let may = |grants: &Grants, subject: &Subject| {
            decide(grants, subject, Permission::SecretResolve).allowed
        };
        let svc = Subject::principal("svc");
        let inherited = grants(vec![
            at("/a/b", &[]),
            resolving("/a", &["svc", "group:ops"]),
        ]);
        assert!(may(&inherited, &svc));
        let ops = Subject {
            groups: vec!["ops".to_owned()],
            ..Subject::principal("bob")
        };
        assert!(may(&inherited, &ops));
        for other in ["ann", "root", "bob", "group:ops", "anyone"] {
            assert!(!may(&inherited, &Subject::principal(other)), "{other}");
        }
        // An empty list is a statement, and so is one without those that are named further up.
        for nearer in [
            resolving("/a/b", &[]),
            resolving("/a/b", &["anyone", "ann"]),
        ] {
            let narrowed = grants(vec![nearer, resolving("/a", &["svc"])]);
            assert!(!may(&narrowed, &svc));
            assert!(!may(&narrowed, &Subject::anyone()));
        }
        // A token leaves it where it reaches, and nowhere else.
        assert!(may(&inherited, &scoped("svc", "/a", Role::Viewer)));
        let elsewhere = scoped("svc", "/c", Role::Admin);
        assert!(!may(&inherited, &elsewhere));
        let said = |subject: &Subject| check(&inherited, subject, Permission::SecretResolve);
        insta::assert_snapshot!(said(&svc), @"secret:resolve is allowed by resolver of svc on /a");
        insta::assert_snapshot!(said(&Subject::principal("ann")), @"secret:resolve is for those that the setting `secretResolvers` names, whatever their role, the highest here is admin");
        insta::assert_snapshot!(said(&elsewhere), @"secret:resolve is for those that the setting `secretResolvers` names, whatever their role, the token is only for admin in /c");
    }

    #[test]
    fn anyone_is_everybody_and_never_more_than_a_viewer() {
        let grants = Grants {
            chain: vec![at(
                "/a",
                &[
                    (Role::Viewer, "anyone"),
                    (Role::Editor, "anyone"),
                    (Role::Admin, "anyone"),
                ],
            )],
            root: roles(&[(Role::Admin, "anyone")]),
        };
        for subject in [Subject::anyone(), Subject::principal("ann")] {
            for permission in Permission::ALL {
                let decision = decide(&grants, &subject, permission);
                assert_eq!(
                    decision.allowed,
                    permits(Role::Viewer, permission),
                    "{permission}"
                );
            }
        }
        let none = Grants {
            chain: vec![at("/a", &[(Role::Viewer, "ann")])],
            root: roles(&[]),
        };
        assert!(!decide(&none, &Subject::anyone(), Permission::NamespaceRead).allowed);
    }
}
