//! Groups: names for several principals, kept by admins of `/`.

use confman_model::{GroupDocument, GroupName, Member};
use confman_object_store::ObjectId;
use confman_refs::Committed;

use crate::directory::{GROUP_DEPTH_MAX, Nesting};
use crate::draft::ExpectedHead;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::namespace::Vanishing;
use crate::seen::Seen;
use crate::session::Session;

/// A group.
#[derive(Clone, Debug)]
pub struct GroupInfo {
    /// Its name.
    pub name: GroupName,
    /// What is said about it.
    pub document: GroupDocument,
    /// The record that says it.
    pub record: ObjectId,
    /// When and by whom it was changed last.
    pub updated: Stamp,
}

/// A page of something with names.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// In the order of their names.
    pub items: Vec<T>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<String>,
}

impl Session {
    /// The groups, in the order of their names, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`] for who may not even read `/`.
    pub fn groups(&self, after: Option<&str>, limit: usize) -> Result<Named<GroupInfo>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let directory = seen.directory()?;
        let mut page: Named<GroupInfo> = Named {
            items: Vec::new(),
            next: None,
        };
        let all = directory.groups();
        for (name, _) in all.filter(|(name, _)| after.is_none_or(|after| *name > after)) {
            if page.items.len() == limit {
                page.next = page.items.last().map(|last| last.name.to_string());
                break;
            }
            let name = name.parse().map_err(Error::bug)?;
            page.items.extend(seen.group(&name)?);
        }
        Ok(page)
    }

    /// A group, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn group(&self, name: &GroupName) -> Result<GroupInfo, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        seen.group(name)?
            .ok_or_else(|| Error::not_found(What::Group, name))
    }

    /// Makes a group or says something else about it, for an admin of `/`. Returns whether it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it would contain itself or groups are too deep in one another,
    /// [`Error::Stale`], [`Error::Denied`].
    pub fn put_group(
        &self,
        name: &GroupName,
        document: &GroupDocument,
        expected: ExpectedHead,
    ) -> Result<(GroupInfo, bool, Committed), Error> {
        let about = names::group(name.as_str())?;
        let text = serde_json::to_string(document).map_err(Error::bug)?;
        let intent = Intent {
            action: "group.put",
            about: about.clone(),
            digest: Digest::new("group.put")
                .with(name.as_str())
                .with(&text)
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({ "group": name, "members": document.members }),
            session: self,
        };
        let mut is_new = false;
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let old = evaluation.get(&about).map(|target| target.id);
            expected.check(What::Group, name, old)?;
            is_new = old.is_none();
            evaluation.check_group(name, document)?;
            evaluation.check_root_keeps_admin(&Vanishing::Group(name, &document.members))?;
            let record = evaluation.put_record_document(about.clone(), document)?;
            Ok(Outcome {
                record: Some(record),
                ..Outcome::default()
            })
        })?;
        let seen = self.look()?;
        let made = seen.group(name)?;
        let made = made.ok_or_else(|| Error::not_found(What::Group, name))?;
        Ok((made, is_new, committed))
    }

    /// Removes a group, for an admin of `/`. What names it afterwards names nobody.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::Denied`].
    pub fn delete_group(
        &self,
        name: &GroupName,
        expected: ExpectedHead,
    ) -> Result<Committed, Error> {
        let about = names::group(name.as_str())?;
        let intent = Intent {
            action: "group.delete",
            about: about.clone(),
            digest: Digest::new("group.delete")
                .with(name.as_str())
                .with(expected.part())
                .finish(),
            detail: serde_json::json!({ "group": name }),
            session: self,
        };
        let (_, committed) = intent.carry_out(|evaluation| {
            evaluation.permit_administrator()?;
            let old = evaluation.get(&about).map(|target| target.id);
            if old.is_none() {
                return Err(Error::not_found(What::Group, name));
            }
            expected.check(What::Group, name, old)?;
            evaluation.check_root_keeps_admin(&Vanishing::Group(name, &[]))?;
            evaluation.set(about.clone(), None);
            Ok(Outcome::default())
        })?;
        Ok(committed)
    }
}

impl Seen<'_> {
    pub(crate) fn group(&self, name: &GroupName) -> Result<Option<GroupInfo>, Error> {
        let Some(target) = self.get(&names::group(name.as_str())?) else {
            return Ok(None);
        };
        let written = self.repo.groups.get(self.repo, target)?;
        Ok(Some(GroupInfo {
            name: name.clone(),
            document: written.document.clone(),
            record: written.id,
            updated: written.stamp.clone(),
        }))
    }
}

impl Evaluation<'_> {
    /// Refuses what a group must not say. Every group is expected to stay as it is, so that two changes
    /// at once cannot make a circle between them.
    fn check_group(&self, name: &GroupName, document: &GroupDocument) -> Result<(), Error> {
        let found = document.problems();
        let mut problems: Vec<Problem> = found
            .iter()
            .map(|problem| Problem::of_model(None, problem))
            .collect();
        let directory = self.directory()?;
        for (other, _) in directory.groups() {
            self.get(&names::group(other)?);
        }
        let mut inner = Vec::new();
        for (index, member) in document.members.iter().enumerate() {
            let Member::Group(group) = member else {
                continue;
            };
            if group != name && self.get(&names::group(group.as_str())?).is_none() {
                problems.push(Problem {
                    pointer: Some(format!("/members/{index}")),
                    ..Problem::new(format!("there is no group `{group}`"))
                });
            }
            inner.push(group.to_string());
        }
        match directory.nesting(name.as_str(), &inner) {
            Nesting::Cycle(way) => problems.push(Problem {
                pointer: Some("/members".to_owned()),
                ..Problem::new(format!("it would contain itself: {}", way.join(" → ")))
            }),
            Nesting::Depth(depth) if depth > GROUP_DEPTH_MAX => problems.push(Problem {
                pointer: Some("/members".to_owned()),
                ..Problem::new(format!(
                    "{depth} groups would be inside one another, at most {GROUP_DEPTH_MAX} are allowed"
                ))
            }),
            Nesting::Depth(_) => {}
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Invalid {
            what: format!("group `{name}`"),
            problems,
        })
    }
}
