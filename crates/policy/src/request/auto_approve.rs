//! Rules by which changes count as approved.

use std::collections::BTreeSet;

use confman_model::document::{AutoApproveRule, Settings};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::TargetFacts;

/// A rule that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Which rule, from 0.
    pub rule: usize,
    /// Which of its globs, from 0.
    pub glob: usize,
    /// What is wrong with it.
    pub detail: String,
}

/// Everything that is wrong with the globs of the rules.
#[must_use]
pub fn check_rules(settings: &Settings) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    for (rule, stated) in settings.auto_approve.iter().flatten().enumerate() {
        for (glob, text) in stated.keys.iter().enumerate() {
            if let Err(error) = compile(text) {
                problems.push(RuleProblem {
                    rule,
                    glob,
                    detail: format!("it is no glob: {}", error.kind()),
                });
            }
        }
    }
    problems
}

fn compile(glob: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(glob).literal_separator(true).build()
}

/// A set that matches what any of the globs does. One that cannot be read matches nothing.
fn matcher(globs: &[String]) -> Option<GlobSet> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        builder.add(compile(glob).ok()?);
    }
    builder.build().ok()
}

/// The first rule that covers every change of a target.
pub(super) fn covering_rule<'t>(
    target: &'t TargetFacts,
    contributors: &BTreeSet<&str>,
) -> Option<&'t AutoApproveRule> {
    if target.changes.is_empty() {
        return None;
    }
    target
        .settings
        .auto_approve
        .iter()
        .flatten()
        .find(|rule| covers(rule, target, contributors))
}

fn covers(rule: &AutoApproveRule, target: &TargetFacts, contributors: &BTreeSet<&str>) -> bool {
    let AutoApproveRule {
        name: _,
        keys,
        changes,
        roles,
        tags,
    } = rule;
    if keys.is_empty() && changes.is_empty() && roles.is_empty() && tags.is_empty() {
        return false;
    }
    let globs = match keys.is_empty() {
        true => None,
        false => match matcher(keys) {
            Some(globs) => Some(globs),
            None => return false,
        },
    };
    let least = roles.iter().min();
    let held = contributors.iter().all(|contributor| {
        let standing = target.standings.get(*contributor);
        least.is_none_or(|least| standing.is_some_and(|standing| standing.role >= Some(*least)))
    });
    held && target.changes.iter().all(|change| {
        globs
            .as_ref()
            .is_none_or(|globs| globs.is_match(change.key.as_str()))
            && (changes.is_empty() || changes.contains(&change.kind))
            && (tags.is_empty() || tags.iter().any(|tag| change.tags.contains(tag)))
    })
}
