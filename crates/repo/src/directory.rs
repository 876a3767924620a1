//! Which groups somebody belongs to: the groups of one view, turned around.
//!
//! INVARIANT: a group that contains itself, however that came about, ends no walk and gives nobody
//! more than its members have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use confman_model::{GroupDocument, Member};
use confman_refs::{Target, View};

use crate::error::Error;
use crate::names;
use crate::record::RecordDocument;
use crate::repo::Repo;
use crate::seen::Seen;

/// Most groups that can be inside one another.
pub const GROUP_DEPTH_MAX: usize = 8;

impl RecordDocument for GroupDocument {
    const TYPE: &'static str = "group";
}

/// The groups of one view, and of all after it as long as none of them changes.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Operation of the newest view that is known to have these groups.
    held_at: AtomicU64,
    /// Every group and its record.
    records: BTreeMap<String, Target>,
    /// Which groups name a member, by the member as it is written.
    naming: BTreeMap<String, Vec<String>>,
    /// Which groups a group names.
    named: BTreeMap<String, Vec<String>>,
}

impl Directory {
    fn read(repo: &Repo, view: &View, before: Option<&Arc<Self>>) -> Result<Arc<Self>, Error> {
        let records: BTreeMap<String, Target> = view
            .scan(names::GROUPS)
            .filter_map(|(name, target)| {
                let group = name.as_str().strip_prefix(names::GROUPS)?;
                Some((group.to_owned(), target))
            })
            .collect();
        let sequence = view.sequence();
        if let Some(before) = before.filter(|before| before.records == records) {
            before.held_at.fetch_max(sequence, Ordering::Relaxed);
            return Ok(Arc::clone(before));
        }
        let mut naming: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (group, target) in &records {
            let written = repo.groups.get(repo, *target)?;
            for member in &written.document.members {
                naming
                    .entry(member.to_string())
                    .or_default()
                    .push(group.clone());
                if let Member::Group(inner) = member {
                    named
                        .entry(group.clone())
                        .or_default()
                        .push(inner.to_string());
                }
            }
        }
        Ok(Arc::new(Self {
            held_at: AtomicU64::new(sequence),
            records,
            naming,
            named,
        }))
    }

    /// Every group that a principal is in, at most [`GROUP_DEPTH_MAX`] deep, and those it was said to be in.
    pub fn groups_of(&self, principal: &str, claimed: &[String]) -> BTreeSet<String> {
        let direct = self.naming.get(principal).into_iter().flatten();
        let mut newest: Vec<String> = direct.chain(claimed).cloned().collect();
        let mut all = BTreeSet::new();
        for _ in 0..GROUP_DEPTH_MAX {
            newest.retain(|group| all.insert(group.clone()));
            if newest.is_empty() {
                break;
            }
            let members = newest.iter().map(|group| Member::written_for_group(group));
            newest = members
                .filter_map(|member| self.naming.get(&member))
                .flatten()
                .cloned()
                .collect();
        }
        all
    }

    /// Whether there is such a group.
    pub fn has(&self, group: &str) -> bool {
        self.records.contains_key(group)
    }

    /// The groups, in order, and their records.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Target)> {
        self.records
            .iter()
            .map(|(group, target)| (group.as_str(), *target))
    }

    /// How many groups are inside one another at most where `group` names `inner`, and a way from it
    /// back to itself where there is one.
    pub fn nesting(&self, group: &str, inner: &[String]) -> Nesting {
        let named = |name: &str| -> Vec<String> {
            match name == group {
                true => inner.to_vec(),
                false => self.named.get(name).cloned().unwrap_or_default(),
            }
        };
        let naming = |name: &str| -> Vec<String> {
            let outer = self.naming.get(&Member::written_for_group(name));
            outer.into_iter().flatten().cloned().collect()
        };
        if let Some(way) = way_back(group, &named) {
            return Nesting::Cycle(way);
        }
        Nesting::Depth(1 + levels(group, &named) + levels(group, &naming))
    }
}

/// What comes of a group that names others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Nesting {
    /// So many are inside one another, itself included.
    Depth(usize),
    /// It would contain itself, by this way.
    Cycle(Vec<String>),
}

/// A way from `group` to itself.
fn way_back(group: &str, next: &dyn Fn(&str) -> Vec<String>) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<String, String> = BTreeMap::new();
    let mut waiting = vec![group.to_owned()];
    while let Some(at) = waiting.pop() {
        for found in next(&at) {
            if found == group {
                let mut way = vec![group.to_owned(), at.clone()];
                let mut last = &at;
                while let Some(before) = came_from.get(last) {
                    way.push(before.clone());
                    last = before;
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(&found) {
                came_from.insert(found.clone(), at.clone());
                waiting.push(found);
            }
        }
    }
    None
}

/// How many steps the longest way from `group` has, as far as [`GROUP_DEPTH_MAX`].
fn levels(group: &str, next: &dyn Fn(&str) -> Vec<String>) -> usize {
    let mut level: BTreeSet<String> = BTreeSet::from([group.to_owned()]);
    for depth in 0..GROUP_DEPTH_MAX {
        level = level.iter().flat_map(|name| next(name)).collect();
        if level.is_empty() {
            return depth;
        }
    }
    GROUP_DEPTH_MAX
}

impl Seen<'_> {
    /// The groups of this view.
    pub fn directory(&self) -> Result<Arc<Directory>, Error> {
        let kept = &self.repo.directory;
        let before = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(directory) = &before
            && directory.held_at.load(Ordering::Relaxed) == self.view.sequence()
        {
            return Ok(Arc::clone(directory));
        }
        let directory = Directory::read(self.repo, &self.view, before.as_ref())?;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&directory));
        Ok(directory)
    }

    /// Every group that a principal is in. Each is expected by a transaction: who is taken out of one
    /// before it takes effect is taken out of all that follows from it. A group that did not have the
    /// principal is not: being in more groups allows nothing less.
    pub fn groups_of(&self, principal: &str, claimed: &[String]) -> Result<Vec<String>, Error> {
        let directory = self.directory()?;
        let groups = directory.groups_of(principal, claimed);
        for group in groups.iter().filter(|group| directory.has(group)) {
            self.get(&names::group(group)?);
        }
        Ok(groups.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(groups: &[(&str, &[&str])]) -> Directory {
        let mut directory = Directory {
            held_at: AtomicU64::new(0),
            records: BTreeMap::new(),
            naming: BTreeMap::new(),
            named: BTreeMap::new(),
        };
        for (group, members) in groups {
            for member in *members {
                let naming = directory.naming.entry((*member).to_owned()).or_default();
                naming.push((*group).to_owned());
                if let Some(inner) = member.strip_prefix("group:") {
                    let named = directory.named.entry((*group).to_owned()).or_default();
                    named.push(inner.to_owned());
                }
            }
        }
        directory
    }

    fn of(directory: &Directory, principal: &str) -> String {
        let groups = directory.groups_of(principal, &[]);
        groups.into_iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn membership_goes_through_groups_of_groups() {
        let all = directory(&[
            ("dev", &["ann", "bob"]),
            ("ops", &["bob"]),
            ("platform", &["group:ops", "cat"]),
            ("everyone", &["group:platform", "group:dev"]),
        ]);
        assert_eq!(of(&all, "ann"), "dev everyone");
        assert_eq!(of(&all, "bob"), "dev everyone ops platform");
        assert_eq!(of(&all, "cat"), "everyone platform");
        assert_eq!(of(&all, "eve"), "");
        let claimed = all.groups_of("eve", &["ops".to_owned(), "elsewhere".to_owned()]);
        assert_eq!(
            claimed.into_iter().collect::<Vec<_>>(),
            ["elsewhere", "everyone", "ops", "platform"]
        );
        // A principal called like a group is not that group.
        assert_eq!(of(&all, "ops"), "");
    }

    #[test]
    fn a_group_that_contains_itself_is_harmless() {
        let all = directory(&[
            ("a", &["group:b", "ann"]),
            ("b", &["group:c"]),
            ("c", &["group:a", "group:c"]),
        ]);
        assert_eq!(of(&all, "ann"), "a b c");
        assert_eq!(of(&all, "bob"), "");
    }

    #[test]
    fn depth_is_bounded() {
        let names: Vec<String> = (0..=GROUP_DEPTH_MAX).map(|n| format!("g{n}")).collect();
        let inner: Vec<String> = names.iter().map(|name| format!("group:{name}")).collect();
        let mut groups: Vec<(&str, Vec<&str>)> = vec![("g0", vec!["ann"])];
        for n in 1..=GROUP_DEPTH_MAX {
            groups.push((&names[n], vec![&inner[n - 1]]));
        }
        let groups: Vec<(&str, &[&str])> = groups
            .iter()
            .map(|(name, members)| (*name, members.as_slice()))
            .collect();
        let all = directory(&groups);
        assert_eq!(all.groups_of("ann", &[]).len(), GROUP_DEPTH_MAX);
    }

    #[test]
    fn the_way_of_a_cycle_is_told_and_so_is_the_depth() {
        let all = directory(&[("a", &["group:b"]), ("b", &["group:c"]), ("c", &["ann"])]);
        let nesting = |group: &str, inner: &[&str]| {
            let inner: Vec<String> = inner.iter().map(|name| (*name).to_owned()).collect();
            all.nesting(group, &inner)
        };
        let way =
            |names: &[&str]| Nesting::Cycle(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(nesting("c", &["a"]), way(&["c", "a", "b", "c"]));
        assert_eq!(nesting("a", &["a"]), way(&["a", "a"]));
        assert_eq!(nesting("c", &["d"]), Nesting::Depth(4));
        assert_eq!(nesting("d", &["a"]), Nesting::Depth(4));
        assert_eq!(nesting("d", &[]), Nesting::Depth(1));
    }
}
