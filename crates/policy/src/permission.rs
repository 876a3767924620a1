//! What can be permitted, and which role permits it.

use std::fmt;

use confman_model::document::RoleName as Role;

/// Something that a role allows in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// See that the namespace exists, and its document.
    NamespaceRead,
    /// Read what is published, with its history.
    ConfigReadPublished,
    /// Read drafts.
    ConfigReadDraft,
    /// Write drafts.
    ConfigWriteDraft,
    /// Ask for a draft to be published.
    RequestCreate,
    /// Approve a publish request.
    RequestApprove,
    /// Reject a publish request.
    RequestReject,
    /// Publish.
    ConfigPublish,
    /// Publish an earlier state again.
    ConfigRollback,
    /// Create namespaces below, change the document, bring in the history of another store.
    NamespaceWrite,
    /// Give and take roles.
    RolesManage,
    /// Write schemas.
    SchemaWrite,
    /// Delete the namespace.
    NamespaceDelete,
    /// Have the server resolve references to secrets. No role has it: the namespace names who does.
    SecretResolve,
}

impl Permission {
    /// Every permission, least first.
    pub const ALL: [Self; 14] = [
        Self::NamespaceRead,
        Self::ConfigReadPublished,
        Self::ConfigReadDraft,
        Self::ConfigWriteDraft,
        Self::RequestCreate,
        Self::RequestApprove,
        Self::RequestReject,
        Self::ConfigPublish,
        Self::ConfigRollback,
        Self::NamespaceWrite,
        Self::RolesManage,
        Self::SchemaWrite,
        Self::NamespaceDelete,
        Self::SecretResolve,
    ];

    /// The name as in documents and messages: `config:publish`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NamespaceRead => "namespace:read",
            Self::ConfigReadPublished => "config:read:published",
            Self::ConfigReadDraft => "config:read:draft",
            Self::ConfigWriteDraft => "config:write:draft",
            Self::RequestCreate => "publish-request:create",
            Self::RequestApprove => "publish-request:approve",
            Self::RequestReject => "publish-request:reject",
            Self::ConfigPublish => "config:publish",
            Self::ConfigRollback => "config:rollback",
            Self::NamespaceWrite => "namespace:write",
            Self::RolesManage => "roles:manage",
            Self::SchemaWrite => "schema:write",
            Self::NamespaceDelete => "namespace:delete",
            Self::SecretResolve => "secret:resolve",
        }
    }
}

/// What is no permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPermission(String);

impl fmt::Display for UnknownPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Permission::ALL.iter().map(|known| known.name()).collect();
        write!(
            f,
            "there is no permission `{}`; there are {}",
            self.0.chars().take(64).collect::<String>().escape_debug(),
            names.join(", ")
        )
    }
}

impl std::error::Error for UnknownPermission {}

impl std::str::FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.name() == text)
            .ok_or_else(|| UnknownPermission(text.to_owned()))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The least role that has the permission; `None` where no role has it. A higher role has everything
/// that a lower one has.
#[must_use]
pub const fn least_role(permission: Permission) -> Option<Role> {
    Some(match permission {
        Permission::NamespaceRead | Permission::ConfigReadPublished => Role::Viewer,
        Permission::ConfigReadDraft | Permission::ConfigWriteDraft | Permission::RequestCreate => {
            Role::Editor
        }
        Permission::RequestApprove
        | Permission::RequestReject
        | Permission::ConfigPublish
        | Permission::ConfigRollback => Role::Publisher,
        Permission::NamespaceWrite
        | Permission::RolesManage
        | Permission::SchemaWrite
        | Permission::NamespaceDelete => Role::Admin,
        Permission::SecretResolve => return None,
    })
}

/// Whether the role has the permission.
#[must_use]
pub fn permits(role: Role, permission: Permission) -> bool {
    least_role(permission).is_some_and(|least| role >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_that_of_the_design() {
        let mut table = String::new();
        for permission in Permission::ALL {
            let mut row = format!("{:<24}", permission.name());
            for role in [Role::Viewer, Role::Editor, Role::Publisher, Role::Admin] {
                row.push_str(if permits(role, permission) {
                    " yes"
                } else {
                    "  - "
                });
            }
            table.push_str(row.trim_end());
            table.push('\n');
        }
        insta::assert_snapshot!(table, @r"
        namespace:read           yes yes yes yes
        config:read:published    yes yes yes yes
        config:read:draft         -  yes yes yes
        config:write:draft        -  yes yes yes
        publish-request:create    -  yes yes yes
        publish-request:approve   -   -  yes yes
        publish-request:reject    -   -  yes yes
        config:publish            -   -  yes yes
        config:rollback           -   -  yes yes
        namespace:write           -   -   -  yes
        roles:manage              -   -   -  yes
        schema:write              -   -   -  yes
        namespace:delete          -   -   -  yes
        secret:resolve            -   -   -   -
        ");
    }
}
