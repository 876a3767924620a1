//! The members of the cluster, and join tokens.

use confman_api::cluster::{Cluster, JoinToken, Member, Scrub};

use crate::render::time;
use crate::text::{Role, Text};

/// How many damaged objects are shown; `--json` has them all.
const DAMAGED_SHOWN_MAX: usize = 10;
/// How many digits of an operation are shown.
const OPERATION_DIGITS: usize = 12;

/// Whether the cluster is well, then its members.
pub(crate) fn status(cluster: &Cluster) -> Text {
    let mut text = Text::new();
    text.plain("cluster ").push(Role::Id, &cluster.cluster_id);
    if cluster.incarnation > 1 {
        text.plain(&format!(", incarnation {}", cluster.incarnation));
    }
    text.end_line();
    let away = cluster
        .members
        .iter()
        .filter(|member| !member.reachable)
        .count();
    match (cluster.leader, cluster.quorum) {
        (None, _) => text.push(Role::Error, "no leader is known"),
        (Some(_), false) => text.push(Role::Error, "fewer than a majority of the voters answer"),
        (Some(leader), true) if away == 0 => {
            text.plain(&format!("well: node {leader} leads, all nodes answer"))
        }
        (Some(leader), true) => text.push(
            Role::Warning,
            &format!(
                "node {leader} leads, {away} of {} nodes do not answer",
                cluster.members.len()
            ),
        ),
    };
    text.end_line();
    if cluster.leader.is_some() && cluster.quorum && nobody_to_spare(cluster) {
        text.push(
            Role::Warning,
            "no voter can be spared: without one more, nothing can be written",
        )
        .end_line();
    }
    text.faint(&format!(
        "term {}, index {}, protocol {}; as node {} sees it",
        cluster.term, cluster.index, cluster.protocol, cluster.node
    ))
    .end_line();
    text.append(members(cluster));
    text.append(scrubs(cluster));
    text
}

/// What the nodes have found when they read again what they store, where that is not that all is well.
fn scrubs(cluster: &Cluster) -> Text {
    let mut text = Text::new();
    for (node, found) in cluster.scrubs() {
        text.append(scrub(node, found));
    }
    text
}

fn scrub(node: u64, scrub: &Scrub) -> Text {
    let mut text = Text::new();
    if scrub.repaired > 0 {
        text.push(
            Role::Warning,
            &format!(
                "{} damaged on the disk of node {} came whole from other nodes: look at that disk",
                count_objects(scrub.repaired),
                node
            ),
        )
        .end_line();
    }
    if !scrub.damaged.is_empty() {
        text.push(
            Role::Error,
            &format!(
                "{} on the disk of node {} cannot be repaired by it:",
                count_objects(scrub.damaged.len() as u64),
                node
            ),
        )
        .end_line();
        for damaged in scrub.damaged.iter().take(DAMAGED_SHOWN_MAX) {
            text.plain("  ").plain(damaged).end_line();
        }
    }
    text
}

fn count_objects(objects: u64) -> String {
    crate::text::count(usize::try_from(objects).unwrap_or(usize::MAX), "object")
}

/// Whether the voters that answer are just a majority, in a cluster of more than one node.
fn nobody_to_spare(cluster: &Cluster) -> bool {
    let voters = cluster
        .members
        .iter()
        .filter(|member| member.role == "voter");
    let (all, reachable) = voters.fold((0, 0), |(all, reachable), voter| {
        (all + 1, reachable + usize::from(voter.reachable))
    });
    cluster.members.len() > 1 && reachable <= all / 2 + 1
}

/// One member a line.
pub(crate) fn members(cluster: &Cluster) -> Text {
    let newest = cluster
        .members
        .iter()
        .filter_map(|member| member.report.as_ref())
        .map(|report| report.index)
        .max()
        .unwrap_or_default();
    let rows: Vec<_> = cluster
        .members
        .iter()
        .map(|member| {
            let (role, state) = state(member, newest);
            let url = member.report.as_ref().map(|report| report.url.clone());
            let version = member.report.as_ref().map(|report| report.version.clone());
            vec![
                (Role::Id, member.id.to_string()),
                (Role::Heading, standing(member)),
                (Role::Plain, member.address.clone()),
                (role, state),
                (Role::Plain, url.unwrap_or_default()),
                (Role::Faint, version.unwrap_or_default()),
            ]
        })
        .collect();
    super::columns(&rows)
}

fn standing(member: &Member) -> String {
    let replica = member.report.as_ref().is_some_and(|report| report.replica);
    match (member.leader, replica && member.role == "learner") {
        (true, _) => "leader".to_owned(),
        (false, true) => "replica".to_owned(),
        (false, false) => member.role.clone(),
    }
}

fn state(member: &Member, newest: u64) -> (Role, String) {
    let Some(report) = &member.report else {
        return (Role::Error, "does not answer".to_owned());
    };
    if let Some(failed) = &report.failed {
        return (Role::Error, format!("out of service: {failed}"));
    }
    let operation: String = report
        .operation
        .iter()
        .flat_map(|id| id.chars())
        .take(OPERATION_DIGITS)
        .collect();
    match newest.saturating_sub(report.index) {
        0 => (Role::Plain, format!("at {} {operation}", report.index)),
        behind => (
            Role::Plain,
            format!("at {} {operation}, {behind} behind", report.index),
        ),
    }
}

/// One join token a line.
pub(crate) fn join_tokens(tokens: &[JoinToken]) -> Text {
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            let until = match token.good {
                true => format!("until {}", time(&token.expires)),
                false => "lets nobody in any more".to_owned(),
            };
            vec![
                (Role::Id, token.id.clone()),
                (
                    Role::Plain,
                    format!("{} of {} used", token.used, token.uses),
                ),
                (Role::Plain, until),
                (Role::Faint, token.name.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}

/// What is said beside a join token that was made.
pub(crate) fn join_token_made(token: &JoinToken) -> Text {
    let mut text = Text::new();
    text.plain("join token ").push(Role::Id, &token.id);
    let nodes = match token.uses {
        1 => "one node".to_owned(),
        uses => format!("{uses} nodes"),
    };
    text.plain(&format!(
        " lets in {nodes} until {}; it is shown this once",
        time(&token.expires)
    ));
    text.end_line();
    text
}

#[cfg(test)]
mod tests {
    use confman_api::cluster::MemberReport;
    use insta::assert_snapshot;

    use super::*;

    fn member(id: u64, role: &str, index: Option<u64>) -> Member {
        Member {
            id,
            role: role.to_owned(),
            leader: id == 1,
            address: format!("10.0.0.{id}:7421"),
            reachable: index.is_some(),
            report: index.map(|index| MemberReport {
                version: "0.1.0".to_owned(),
                protocol_min: 1,
                protocol_max: 1,
                url: String::new(),
                replica: id == 9,
                term: 3,
                leader: Some(1),
                index,
                logged: index,
                operation: Some("0123456789abcdef0123".to_owned()),
                failed: None,
            }),
            scrub: None,
        }
    }

    fn cluster(members: Vec<Member>) -> Cluster {
        Cluster {
            cluster_id: "ab".repeat(16),
            incarnation: 1,
            node: 1,
            leader: Some(1),
            term: 3,
            index: 20,
            protocol: 1,
            quorum: true,
            members,
            scrub: Scrub::default(),
        }
    }

    #[test]
    fn what_is_damaged_is_told_with_the_node_and_its_disk() {
        let mut cluster = cluster(vec![member(1, "voter", Some(20))]);
        cluster.scrub.repaired = 1;
        cluster.scrub.damaged = vec!["blob 01 is corrupt: its bytes hash to 02".to_owned()];
        let of_one = scrubs(&cluster).to_plain();
        assert_snapshot!(of_one, @"
        1 object damaged on the disk of node 1 came whole from other nodes: look at that disk
        1 object on the disk of node 1 cannot be repaired by it:
          blob 01 is corrupt: its bytes hash to 02
        ");
        // As a server says it that asks all members, of which one is too old to know.
        let mut other = member(7, "voter", Some(20));
        other.scrub = Some(Scrub {
            repaired: 2,
            ..Scrub::default()
        });
        cluster.members.push(other);
        cluster.members.push(member(9, "learner", Some(20)));
        assert_snapshot!(scrubs(&cluster).to_plain().replace(&of_one, ""), @"2 objects damaged on the disk of node 7 came whole from other nodes: look at that disk");
        cluster.members.clear();
        cluster.scrub = Scrub::default();
        assert_eq!(scrubs(&cluster).to_plain(), "");
    }

    #[test]
    fn a_cluster_says_who_leads_who_is_behind_and_who_is_away() {
        let cluster = cluster(vec![
            member(1, "voter", Some(20)),
            member(7, "voter", None),
            member(9, "learner", Some(15)),
        ]);
        assert_snapshot!(status(&cluster).to_plain(), @r"
        cluster abababababababababababababababab
        node 1 leads, 1 of 3 nodes do not answer
        no voter can be spared: without one more, nothing can be written
        term 3, index 20, protocol 1; as node 1 sees it
        1  leader   10.0.0.1:7421  at 20 0123456789ab              0.1.0
        7  voter    10.0.0.7:7421  does not answer
        9  replica  10.0.0.9:7421  at 15 0123456789ab, 5 behind    0.1.0
        ");
    }

    #[test]
    fn a_cluster_says_when_it_cannot_lose_a_voter() {
        let line = |members| {
            let text = status(&cluster(members)).to_plain();
            text.lines().nth(2).unwrap_or_default().to_owned()
        };
        let voter = |id| member(id, "voter", Some(20));
        let warns = |members| line(members).starts_with("no voter can be spared");
        // The second that joins makes it no safer, nor does a learner.
        assert!(warns(vec![voter(1), voter(7)]));
        assert!(warns(vec![
            voter(1),
            voter(7),
            member(9, "learner", Some(20))
        ]));
        assert!(!warns(vec![voter(1), voter(7), voter(9)]));
        assert!(!warns(vec![voter(1)]));
    }
}
