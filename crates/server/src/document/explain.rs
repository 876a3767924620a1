//! Why things are as they are.

use confman_api::explain::{
    AttachedSchema, ChainPart, EffectiveNamespace, EffectiveSetting, ExplainedLink, ExplainedRule,
    ExplainedSchema, Explanation, Grant, LastChange, OpenRequest, PermissionDecision,
    PermissionReport,
};
use confman_repo::policy::decision::role_name;
use confman_repo::{self as repo, policy};

use super::{entry, history};
use crate::error::ApiError;

fn grant(grant: &policy::Grant) -> Grant {
    Grant {
        namespace: grant.namespace.to_string(),
        role: grant.name().to_owned(),
        holder: grant.holder.clone(),
    }
}

fn part(part: &repo::ChainPart) -> ChainPart {
    ChainPart {
        namespace: part.namespace.to_string(),
        inherit: part.inherit,
        policy: part.policy.to_string(),
        published: part.published.map(|id| id.to_string()),
    }
}

/// What holds in a namespace beside its values.
pub(crate) fn effective_namespace(found: &repo::EffectiveNamespace) -> EffectiveNamespace {
    let setting = |setting: &repo::EffectiveSetting| EffectiveSetting {
        name: setting.name.clone(),
        value: setting.value.clone(),
        from: setting.from.as_ref().map(ToString::to_string),
    };
    EffectiveNamespace {
        namespace: found.namespace.to_string(),
        chain: found.chain.iter().map(part).collect(),
        settings: found.settings.iter().map(setting).collect(),
        schemas: found
            .schemas
            .iter()
            .map(|(namespace, path)| AttachedSchema {
                namespace: namespace.to_string(),
                path: path.to_string(),
            })
            .collect(),
        grants: found.grants.iter().map(grant).collect(),
    }
}

fn schema(found: &repo::ExplainedSchema) -> ExplainedSchema {
    ExplainedSchema {
        namespace: found.attached_by.to_string(),
        path: found.path.to_string(),
        property: found.property.clone(),
        rules: found
            .rules
            .iter()
            .map(|rule| ExplainedRule {
                keyword: rule.rule.keyword().to_owned(),
                schema: rule.schema.to_string(),
                schema_pointer: rule.pointer.clone(),
            })
            .collect(),
    }
}

/// Why a key is what it is.
pub(crate) fn explanation(found: &repo::Explanation) -> Result<Explanation, ApiError> {
    let winner = found.winner.and_then(|at| found.chain.get(at));
    let outcome = match winner {
        None => "nothing",
        Some(link) if link.is_unset() => "unset",
        Some(_) => "value",
    };
    let link = |link: &repo::ExplainedLink| {
        Ok(ExplainedLink {
            namespace: link.part.namespace.to_string(),
            inherit: link.part.inherit,
            commit: link.part.published.map(|id| id.to_string()),
            entry: link.entry.as_ref().map(entry::tree_entry).transpose()?,
            version: link.version,
        })
    };
    let last_change = match &found.last_change {
        None => None,
        Some((namespace, version)) => Some(LastChange {
            namespace: namespace.to_string(),
            version: history::version(version)?,
        }),
    };
    Ok(Explanation {
        namespace: found.namespace.to_string(),
        key: found.key.to_string(),
        outcome: outcome.to_owned(),
        from: winner.map(|link| link.part.namespace.to_string()),
        chain: found
            .chain
            .iter()
            .map(link)
            .collect::<Result<_, ApiError>>()?,
        last_change,
        schemas: found.schemas.iter().map(schema).collect(),
        requests: found
            .requests
            .iter()
            .map(|request| OpenRequest {
                id: format!("pr-{}", request.number),
                title: request.title.clone(),
                state: request.state.name().to_owned(),
                namespace: request.namespace.to_string(),
            })
            .collect(),
        may_change: found.may_change.iter().map(grant).collect(),
    })
}

/// Why somebody may or may not do things.
pub(crate) fn permissions(found: &repo::PermissionReport) -> PermissionReport {
    PermissionReport {
        namespace: found.namespace.to_string(),
        principal: found.principal.clone(),
        groups: found.groups.clone(),
        role: found.role.map(|role| role_name(role).to_owned()),
        permissions: found
            .decisions
            .iter()
            .map(|decision| PermissionDecision {
                permission: decision.permission.to_string(),
                allowed: decision.allowed,
                because: decision.because.iter().map(grant).collect(),
                text: decision.to_string(),
            })
            .collect(),
    }
}
