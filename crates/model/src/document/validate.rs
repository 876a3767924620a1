//! What a namespace document must keep to beyond its types.

use std::collections::BTreeSet;

use super::timestamp;
use super::{
    ANYONE, AutoApproveRule, DocumentMetadata, FreezeWindow, Guards, NamespaceDocument, Roles,
    Settings,
};
use crate::entry::{DESCRIPTION_BYTES_MAX, ENTRY_TAG_BYTES_MAX};
use crate::json::Pointer;
use crate::key::KEY_BYTES_MAX;
use crate::quoted::Quoted;
use crate::segment::{self, SEGMENT_CHARS_MAX};
use crate::value::{Problem, VALUE_BYTES_CEILING};

/// Most bytes of a display name or owner.
pub const TITLE_BYTES_MAX: usize = 256;
/// Most bytes that name a principal or group.
pub const PRINCIPAL_BYTES_MAX: usize = 256;
/// Most principals and groups that hold one role in one namespace, or for whom secrets are resolved.
pub const ROLE_MEMBERS_MAX: usize = 1000;
/// Most approvals that can be asked for.
pub const MIN_APPROVERS_MAX: u32 = 100;
/// Most characters that name an environment.
pub const ENVIRONMENT_CHARS_MAX: usize = SEGMENT_CHARS_MAX;
/// Most rules of automatic approval in one namespace.
pub const AUTO_APPROVE_RULES_MAX: usize = 32;
/// Most conditions of one kind in a rule of automatic approval.
pub const RULE_CONDITIONS_MAX: usize = 100;
/// Most windows of freeze in one namespace.
pub const FREEZE_WINDOWS_MAX: usize = 100;
/// Most schemes of secret references in one namespace.
pub const SECRET_SCHEMES_MAX: usize = 32;

/// The problems found so far, each with its place.
struct Findings(Vec<Problem>);

impl Findings {
    fn add(&mut self, pointer: Pointer, what: impl Into<String>) {
        self.0.push(Problem {
            pointer: Some(pointer),
            ..Problem::whole(what)
        });
    }

    fn limit_bytes(&mut self, pointer: Pointer, text: &str, bytes_max: usize) {
        let bytes = text.len();
        if bytes > bytes_max {
            self.add(
                pointer,
                format!("it has {bytes} bytes, at most {bytes_max} are allowed"),
            );
        }
    }

    fn limit_count<T>(&mut self, pointer: &Pointer, list: &[T], count_max: usize) {
        let count = list.len();
        if count > count_max {
            let what = format!("it has {count} items, at most {count_max} are allowed");
            self.add(pointer.clone(), what);
        }
    }
}

/// Everything that is wrong with a document.
pub(super) fn problems(document: &NamespaceDocument) -> Vec<Problem> {
    let mut findings = Findings(Vec::new());
    let root = Pointer::root();
    findings.limit_bytes(
        root.member("displayName"),
        &document.display_name,
        TITLE_BYTES_MAX,
    );
    findings.limit_bytes(
        root.member("description"),
        &document.description,
        DESCRIPTION_BYTES_MAX,
    );
    findings.limit_bytes(root.member("owner"), &document.owner, TITLE_BYTES_MAX);
    roles(&document.roles, &root.member("roles"), &mut findings);
    settings(&document.settings, &root.member("settings"), &mut findings);
    metadata(&document.metadata, &root.member("metadata"), &mut findings);
    findings.0
}

fn roles(roles: &Roles, at: &Pointer, findings: &mut Findings) {
    let Roles {
        admin,
        publisher,
        editor,
        viewer,
    } = roles;
    let members_by_role = [
        ("admin", admin),
        ("publisher", publisher),
        ("editor", editor),
        ("viewer", viewer),
    ];
    for (role, members) in members_by_role {
        let not_anyone = (role != "viewer")
            .then(|| format!("`{ANYONE}` is everybody, who can be viewer and nothing more"));
        holders(members, &at.member(role), not_anyone, findings);
    }
}

/// A list of principals and groups. Where anyone may not be in it, `not_anyone` says why.
fn holders(members: &[String], at: &Pointer, not_anyone: Option<String>, findings: &mut Findings) {
    findings.limit_count(at, members, ROLE_MEMBERS_MAX);
    let mut seen = BTreeSet::new();
    for (index, member) in members.iter().enumerate() {
        principal(member, at.item(index), findings);
        if let Some(what) = not_anyone.as_ref().filter(|_| member == ANYONE) {
            findings.add(at.item(index), what.clone());
        }
        if !seen.insert(member) {
            findings.add(
                at.item(index),
                format!("{} is in the list already", Quoted(member)),
            );
        }
    }
}

fn principal(name: &str, at: Pointer, findings: &mut Findings) {
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        let what = format!(
            "{} cannot name a principal or group, which has no white space",
            Quoted(name)
        );
        findings.add(at, what);
    } else {
        findings.limit_bytes(at, name, PRINCIPAL_BYTES_MAX);
    }
}

fn settings(settings: &Settings, at: &Pointer, findings: &mut Findings) {
    let Settings {
        schema_enforcement: _,
        require_approval: _,
        min_approvers,
        approvers,
        allow_self_approval: _,
        environment,
        auto_approve,
        freeze,
        guards,
        value_bytes_max,
        secret_schemes,
        secret_resolvers,
    } = settings;
    if let Some(count) = min_approvers
        && !(1..=MIN_APPROVERS_MAX).contains(count)
    {
        let what = format!(
            "{count} is not allowed, only 1 to {MIN_APPROVERS_MAX}; to need no approval, set `requireApproval` to false"
        );
        findings.add(at.member("minApprovers"), what);
    }
    if let Some(group) = approvers {
        principal(group, at.member("approvers"), findings);
    }
    if let Some(environment) = environment
        && let Err(reason) = segment::check(environment)
    {
        findings.add(
            at.member("environment"),
            format!("it does not name an environment: {reason}"),
        );
    }
    if let Some(bytes) = value_bytes_max
        && !(1..=VALUE_BYTES_CEILING).contains(bytes)
    {
        let what = format!("{bytes} is not allowed, only 1 to {VALUE_BYTES_CEILING}");
        findings.add(at.member("valueBytesMax"), what);
    }
    if let Some(schemes) = secret_schemes {
        let at = at.member("secretSchemes");
        findings.limit_count(&at, schemes, SECRET_SCHEMES_MAX);
        for (index, scheme) in schemes.iter().enumerate() {
            secret_scheme(scheme, at.item(index), findings);
        }
    }
    if let Some(holders) = secret_resolvers {
        let what = format!("`{ANYONE}` is everybody, for whom no secret is resolved");
        self::holders(holders, &at.member("secretResolvers"), Some(what), findings);
    }
    if let Some(rules) = auto_approve {
        let at = at.member("autoApprove");
        findings.limit_count(&at, rules, AUTO_APPROVE_RULES_MAX);
        for (index, rule) in rules.iter().enumerate() {
            auto_approve_rule(rule, &at.item(index), findings);
        }
    }
    if let Some(windows) = freeze {
        let at = at.member("freeze");
        findings.limit_count(&at, windows, FREEZE_WINDOWS_MAX);
        for (index, window) in windows.iter().enumerate() {
            freeze_window(window, &at.item(index), findings);
        }
    }
    if let Some(limits) = guards {
        self::guards(limits, &at.member("guards"), findings);
    }
}

fn guards(guards: &Guards, at: &Pointer, findings: &mut Findings) {
    let Guards {
        keys_removed_max,
        percent_removed_max,
        keys_changed_max,
        percent_changed_max,
        growth_bytes_max,
        approvers,
    } = guards;
    let states_nothing = keys_removed_max.is_none()
        && percent_removed_max.is_none()
        && keys_changed_max.is_none()
        && percent_changed_max.is_none()
        && growth_bytes_max.is_none();
    // Guards without limits are how a namespace sheds those it would inherit; with a number of
    // approvals they look like a rule and are none.
    if states_nothing && approvers.is_some() {
        let what = "there is no limit beyond which these approvals would count";
        findings.add(at.member("approvers"), what);
    }
    for (field, percent) in [
        ("percentRemovedMax", percent_removed_max),
        ("percentChangedMax", percent_changed_max),
    ] {
        if let Some(percent) = percent
            && *percent > 100
        {
            let what = format!("{percent} is not allowed, only 0 to 100");
            findings.add(at.member(field), what);
        }
    }
    if let Some(count) = approvers
        && !(1..=MIN_APPROVERS_MAX).contains(count)
    {
        let what = format!("{count} is not allowed, only 1 to {MIN_APPROVERS_MAX}");
        findings.add(at.member("approvers"), what);
    }
}

fn secret_scheme(scheme: &str, at: Pointer, findings: &mut Findings) {
    let starts = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
    };
    if !starts || !scheme.bytes().all(allowed) || scheme.len() > SEGMENT_CHARS_MAX {
        let what = format!(
            "{} is not a scheme: a letter a-z, then a-z, 0-9, `+`, `-` and `.`, at most {SEGMENT_CHARS_MAX} characters",
            Quoted(scheme)
        );
        findings.add(at, what);
    }
}

fn auto_approve_rule(rule: &AutoApproveRule, at: &Pointer, findings: &mut Findings) {
    let AutoApproveRule {
        name,
        keys,
        changes,
        roles,
        tags,
    } = rule;
    if name.is_empty() {
        findings.add(
            at.member("name"),
            "a rule needs a name, by which records cite it",
        );
    }
    findings.limit_bytes(at.member("name"), name, TITLE_BYTES_MAX);
    if keys.is_empty() && changes.is_empty() && roles.is_empty() && tags.is_empty() {
        let what = "a rule without conditions would approve everything; state `keys`, `changes`, `roles` or `tags`";
        findings.add(at.clone(), what);
    }
    findings.limit_count(&at.member("keys"), keys, RULE_CONDITIONS_MAX);
    findings.limit_count(&at.member("changes"), changes, RULE_CONDITIONS_MAX);
    findings.limit_count(&at.member("roles"), roles, RULE_CONDITIONS_MAX);
    findings.limit_count(&at.member("tags"), tags, RULE_CONDITIONS_MAX);
    for (field, texts, bytes_max) in [
        ("keys", keys, KEY_BYTES_MAX),
        ("tags", tags, ENTRY_TAG_BYTES_MAX),
    ] {
        for (index, text) in texts.iter().enumerate() {
            let at = at.member(field).item(index);
            if text.is_empty() {
                findings.add(at, "it is empty, so it can never hold");
            } else {
                findings.limit_bytes(at, text, bytes_max);
            }
        }
    }
}

fn freeze_window(window: &FreezeWindow, at: &Pointer, findings: &mut Findings) {
    let FreezeWindow {
        from,
        until,
        reason,
    } = window;
    findings.limit_bytes(at.member("reason"), reason, DESCRIPTION_BYTES_MAX);
    let starts = time(from, at.member("from"), findings);
    let ends = time(until, at.member("until"), findings);
    if let (Some(starts), Some(ends)) = (starts, ends)
        && starts >= ends
    {
        findings.add(at.member("until"), "it must be later than `from`");
    }
}

fn metadata(metadata: &DocumentMetadata, at: &Pointer, findings: &mut Findings) {
    let DocumentMetadata {
        created,
        created_by,
        updated,
        updated_by,
    } = metadata;
    for (field, text) in [("created", created), ("updated", updated)] {
        if !text.is_empty() {
            time(text, at.member(field), findings);
        }
    }
    findings.limit_bytes(at.member("createdBy"), created_by, PRINCIPAL_BYTES_MAX);
    findings.limit_bytes(at.member("updatedBy"), updated_by, PRINCIPAL_BYTES_MAX);
}

fn time(text: &str, at: Pointer, findings: &mut Findings) -> Option<i64> {
    let seconds = timestamp::seconds(text);
    if seconds.is_none() {
        let what = format!(
            "{} is not a time of RFC 3339, as in `2026-11-24T10:00:00Z`",
            Quoted(text)
        );
        findings.add(at, what);
    }
    seconds
}
