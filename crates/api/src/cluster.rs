//! The members of the cluster, and join tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /cluster`: the cluster as the node that answers sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// Identity of the cluster, 32 hex digits.
    pub cluster_id: String,
    /// How often the cluster was recovered after it had lost its majority.
    pub incarnation: u64,
    /// The node that answers.
    pub node: u64,
    /// The leader, if the node knows one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leader: Option<u64>,
    /// Raft term.
    pub term: u64,
    /// Last log index that the node has applied.
    pub index: u64,
    /// The version of the protocol that all members are known to understand.
    pub protocol: u16,
    /// Whether a majority of the voters answers.
    pub quorum: bool,
    /// The members, in the order of their ids.
    pub members: Vec<Member>,
    /// What the node that answers has found when it read again what it stores.
    #[serde(default)]
    pub scrub: Scrub,
}

impl Cluster {
    /// What each node has found when it read again what it stores, as far as it is known.
    pub fn scrubs(&self) -> impl Iterator<Item = (u64, &Scrub)> {
        let told = self.members.iter().filter(|member| member.id != self.node);
        let told = told.filter_map(|member| Some((member.id, member.scrub.as_ref()?)));
        std::iter::once((self.node, &self.scrub)).chain(told)
    }
}

/// What has come of reading again what is stored, since the node was started.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// Objects that were read.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often everything was read to the end.
    pub passes: u64,
    /// Objects that were damaged, and came whole from another node.
    pub repaired: u64,
    /// What is damaged still, each with what is wrong; at most a thousand of them.
    pub damaged: Vec<String>,
}

/// A member of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Its id, which no other node ever had or will have.
    pub id: u64,
    /// `voter` or `learner`.
    pub role: String,
    /// Whether it leads, as far as the node that answers knows.
    pub leader: bool,
    /// Where its peers reach it; empty for a node that never had any.
    pub address: String,
    /// Whether it answered.
    pub reachable: bool,
    /// What it said of itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<MemberReport>,
    /// What it has found when it read again what it stores; absent where it did not answer, or is too old to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scrub: Option<Scrub>,
}

/// What a member says of itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// Version of its program.
    pub version: String,
    /// The oldest version of the protocol that it understands.
    pub protocol_min: u16,
    /// The newest.
    pub protocol_max: u16,
    /// Where clients reach it; empty where it was not told.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub url: String,
    /// Whether it stays a learner: a read replica.
    pub replica: bool,
    /// Raft term.
    pub term: u64,
    /// Its leader, if it knows one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub leader: Option<u64>,
    /// Last log index that it has applied.
    pub index: u64,
    /// Last log index that is written there.
    pub logged: u64,
    /// Its newest operation.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub operation: Option<String>,
    /// Why it takes no more writes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<String>,
}

/// `POST /cluster/members/{node}/promote` and `…/remove`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberWrite {
    /// Though it could cost the cluster its majority.
    #[serde(default)]
    pub force: bool,
}

/// `POST /cluster/members/{node}/replace`: `{node}` leaves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReplaceWrite {
    /// The learner that takes its place.
    pub by: u64,
    /// Though it could cost the cluster its majority.
    #[serde(default)]
    pub force: bool,
}

/// `POST /cluster/transfer`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferWrite {
    /// The voter that is to lead; absent: the one that is least behind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<u64>,
}

/// `POST /cluster/join-tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinTokenWrite {
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// How many nodes it lets in.
    #[serde(default = "one")]
    pub uses: u32,
    /// When it ends, as RFC 3339; absent: in a day.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
}

const fn one() -> u32 {
    1
}

/// An item of `GET /cluster/join-tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinToken {
    /// What it is called where the token itself must not appear: 16 hex digits.
    pub id: String,
    /// What it is for.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub name: String,
    /// How many nodes it lets in.
    pub uses: u32,
    /// How many it has let in.
    pub used: u32,
    /// When it ends.
    pub expires: String,
    /// Whether it still lets somebody in.
    pub good: bool,
    /// When it was made.
    pub created_at: String,
    /// By whom.
    pub created_by: String,
}

/// A join token that was made.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinTokenMade {
    /// The token itself, in this answer and in no other.
    pub secret: String,
    /// Everything else about it.
    pub token: JoinToken,
}

// A token must not end up in a log or a panic message.
impl std::fmt::Debug for JoinTokenMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTokenMade")
            .field("secret", &"…")
            .field("token", &self.token)
            .finish()
    }
}
