//! Groups: names for several principals, which can hold roles and belong to other groups.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{GroupName, IdentityNameError, PrincipalName};
use crate::entry::DESCRIPTION_BYTES_MAX;
use crate::json::Pointer;
use crate::quoted::Quoted;
use crate::value::Problem;

/// What a group is written with where principals can stand too: `group:platform`.
pub const GROUP_PREFIX: &str = "group:";
/// Most members that one group names.
pub const GROUP_MEMBERS_MAX: usize = 1000;

/// What is said about one group. Its JSON text is what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with `members`"
)]
pub struct GroupDocument {
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Principals, and other groups as `group:NAME`.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// Somebody in a group: a principal, or all of another group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A principal.
    Principal(PrincipalName),
    /// Everybody in another group.
    Group(GroupName),
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(name) => name.fmt(f),
            Self::Group(name) => write!(f, "{GROUP_PREFIX}{name}"),
        }
    }
}

impl Member {
    /// How a group is written where principals can stand too.
    #[must_use]
    pub fn written_for_group(name: &str) -> String {
        format!("{GROUP_PREFIX}{name}")
    }
}

impl FromStr for Member {
    type Err = IdentityNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(GROUP_PREFIX) {
            Some(group) => group.parse().map(Self::Group),
            None => text.parse().map(Self::Principal),
        }
    }
}

serde_as_text!(Member);

impl GroupDocument {
    /// Everything that is wrong with it beyond its types.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |pointer: Pointer, what: String| {
            problems.push(Problem {
                pointer: Some(pointer),
                ..Problem::whole(what)
            });
        };
        let root = Pointer::root();
        if self.description.len() > DESCRIPTION_BYTES_MAX {
            let bytes = self.description.len();
            let what = format!("it has {bytes} bytes, at most {DESCRIPTION_BYTES_MAX} are allowed");
            add(root.member("description"), what);
        }
        let members = root.member("members");
        if self.members.len() > GROUP_MEMBERS_MAX {
            let count = self.members.len();
            let what = format!("it has {count} items, at most {GROUP_MEMBERS_MAX} are allowed");
            add(members.clone(), what);
        }
        let mut seen = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate() {
            if !seen.insert(member) {
                let what = format!("{} is in the list already", Quoted(&member.to_string()));
                add(members.item(index), what);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_principals_and_groups_and_are_listed_once() {
        let text = r#"{"members":["ann","group:ops","ann"]}"#;
        let group: GroupDocument = serde_json::from_str(text).unwrap();
        assert_eq!(group.members[1], Member::Group("ops".parse().unwrap()));
        assert_eq!(serde_json::to_string(&group).unwrap(), text);
        let problems: Vec<String> = group.problems().iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(problems.join("\n"), @"at `/members/2`: `ann` is in the list already");
        for wrong in ["group:", "group:group:x", "Ann", "anyone", "group:anyone"] {
            assert!(wrong.parse::<Member>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_group_has_at_most_so_many_members() {
        let member = |n: usize| format!("p{n}").parse().unwrap();
        let mut group = GroupDocument {
            description: String::new(),
            members: (0..GROUP_MEMBERS_MAX).map(member).collect(),
        };
        assert!(group.problems().is_empty());
        group.members.push(member(GROUP_MEMBERS_MAX));
        assert_eq!(group.problems().len(), 1);
    }
}
