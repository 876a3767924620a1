//! The members of the cluster, and join tokens.

use confman_api::cluster::{Cluster, JoinToken, JoinTokenMade, Member, MemberReport, Scrub};
use confman_repo::JoinTokenInfo;
use confman_repo::refs::ScrubStatus;
use confman_repo::refs::cluster::{ClusterStatus, MemberState};
use data_encoding::HEXLOWER;

use super::time;

/// The cluster.
pub(crate) fn whole(status: &ClusterStatus, scrub: ScrubStatus) -> Cluster {
    Cluster {
        cluster_id: HEXLOWER.encode(&status.cluster_id),
        incarnation: status.incarnation,
        node: status.node,
        leader: status.leader,
        term: status.term,
        index: status.applied,
        protocol: status.protocol,
        quorum: status.has_quorum(),
        members: status
            .members
            .iter()
            .map(|member| self::member(member, status.leader))
            .collect(),
        scrub: self::scrub(&scrub),
    }
}

fn scrub(scrub: &ScrubStatus) -> Scrub {
    Scrub {
        objects: scrub.objects,
        bytes: scrub.bytes,
        passes: scrub.passes,
        repaired: scrub.repaired,
        damaged: scrub.damaged.clone(),
    }
}

fn member(state: &MemberState, leader: Option<u64>) -> Member {
    let report = state.report.as_ref().map(|report| MemberReport {
        version: report.version.clone(),
        protocol_min: report.protocol.0,
        protocol_max: report.protocol.1,
        url: report.url.clone(),
        replica: report.replica,
        term: report.term,
        leader: report.leader,
        index: report.applied,
        logged: report.logged,
        operation: report.operation.map(|id| id.to_string()),
        failed: report.failed.clone(),
    });
    Member {
        id: state.member.id,
        role: state.member.role.to_string(),
        leader: leader == Some(state.member.id),
        address: state.member.address.clone(),
        reachable: report.is_some(),
        report,
        scrub: state.scrub.as_ref().map(scrub),
    }
}

/// A join token, without the token itself.
pub(crate) fn join_token(info: &JoinTokenInfo) -> JoinToken {
    JoinToken {
        id: info.id.clone(),
        name: info.name.clone(),
        uses: info.uses,
        used: info.used,
        expires: time::utc(info.expires_ms),
        good: info.good,
        created_at: time::utc(info.created.at_ms),
        created_by: info.created.by.clone(),
    }
}

/// A join token that was made, in the clear.
pub(crate) fn join_token_made(secret: &confman_repo::Token, info: &JoinTokenInfo) -> JoinTokenMade {
    JoinTokenMade {
        secret: secret.as_str().to_owned(),
        token: join_token(info),
    }
}
