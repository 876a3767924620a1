//! The members of the cluster, seen and changed from any of them.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::Node;
use super::link::{Admitting, CHANGE_WITHIN, call};
use crate::cluster::message::{Ask, Told};
use crate::cluster::{
    Admit, ChangeError, ClusterStatus, Force, HAND_OVER_WITHIN, JoinOptions, JoinRequest, Member,
    MemberChange, MemberRole, MemberState, NotAdmitted,
};
use crate::peer::{Begin, Lane, PROTOCOL_MAX, PROTOCOL_MIN, PeerAddress, Transport};

/// How long one member may take to let a node in. Its answer may be lost: then the next one is asked, and the
/// request, which is the same one, has the same answer.
const JOIN_WITHIN: Duration = Duration::from_secs(10);
/// How long a node waits before it asks the seeds again.
const JOIN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why a node was not let into a cluster.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A member said no.
    #[error("{address} does not let this node in: {reason}")]
    Refused {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("no member let this node in within {} s: {reason}", within.as_secs())]
    TimedOut {
        /// How long it tried.
        within: Duration,
        /// What the last one said.
        reason: String,
    },
}

/// Shows a join token to the seeds, one after the other, until one lets this node in. Blocks; `request` names
/// it: asked again after a crash with the same one, the node gets the same id.
///
/// # Errors
/// A member refused, or nobody let it in within `within`.
pub fn join(
    transport: &Arc<dyn Transport>,
    options: &JoinOptions,
    address: &str,
    request: [u8; 16],
    within: Duration,
) -> Result<Begin, JoinError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| JoinError::TimedOut {
            within,
            reason: error.to_string(),
        })?;
    runtime.block_on(join_any(transport, options, address, request, within))
}

pub(crate) async fn join_any(
    transport: &Arc<dyn Transport>,
    options: &JoinOptions,
    address: &str,
    request: [u8; 16],
    within: Duration,
) -> Result<Begin, JoinError> {
    let until = tokio::time::Instant::now() + within;
    let ask = Ask::Join(JoinRequest {
        request,
        token: options.token.clone(),
        address: address.to_owned(),
        protocol: (PROTOCOL_MIN, PROTOCOL_MAX),
    });
    let mut reason = "no member was named".to_owned();
    loop {
        for seed in &options.seeds {
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                return Err(JoinError::TimedOut { within, reason });
            }
            let peer = PeerAddress {
                node_id: None,
                address: seed.as_str().into(),
            };
            let told = call(transport.as_ref(), &peer, &ask, left.min(JOIN_WITHIN)).await;
            let said = match told {
                Ok(Told::Joined {
                    node,
                    cluster,
                    incarnation,
                }) => {
                    return Ok(Begin::Joined {
                        cluster_id: cluster,
                        node_id: node,
                        incarnation,
                    });
                }
                Ok(Told::NotAdmitted(reason)) => {
                    return Err(JoinError::Refused {
                        address: seed.clone(),
                        reason,
                    });
                }
                Ok(Told::Unavailable(said) | Told::Unknown(said)) => said,
                Ok(_) => "its answer makes no sense".to_owned(),
                Err(error) => error.to_string(),
            };
            tracing::info!("{seed} did not let this node in yet: {said}");
            reason = format!("{seed}: {said}");
        }
        tokio::time::sleep(JOIN_AGAIN_AFTER).await;
    }
}

impl Node {
    /// Lets others in from now on, by this decision.
    pub fn admit_by(&self, admit: Arc<Admit>) {
        let admitting: Arc<Admitting> = Arc::new(move |_, join| {
            let admit = Arc::clone(&admit);
            Box::pin(async move {
                tokio::task::spawn_blocking(move || admit(&join))
                    .await
                    .unwrap_or_else(|error| Err(NotAdmitted::Later(error.to_string())))
            })
        });
        // The first one stays.
        let _ = self.link.admit.set(admitting);
    }

    /// Tells others where clients reach this node.
    pub fn served_at(&self, url: String) {
        // The first one stays.
        let _ = self.link.about.url.set(url);
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.link.leads()
    }

    /// Whether this node has what was agreed on before it was let in, which its id is the index of. Until it has,
    /// it must not say of anything that it is not there.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.view().index() >= self.identity.node_id
    }

    /// How many entries that are agreed on this node has not applied yet, as far as it knows.
    #[must_use]
    pub fn lag(&self) -> u64 {
        let agreed = self.link.metrics().cluster_committed;
        let applied = self.view().index();
        agreed.map_or(0, |agreed| agreed.index.saturating_sub(applied))
    }

    /// The members as they were agreed on, as far as this node knows. Who becomes or stops being a voter at
    /// the moment is none.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        let metrics = self.link.metrics();
        let membership = metrics.committed_membership_config.membership();
        let configs = membership.get_joint_config();
        let votes =
            |id: &u64| !configs.is_empty() && configs.iter().all(|config| config.contains(id));
        membership
            .nodes()
            .map(|(id, node)| Member {
                id: *id,
                address: node.addr.clone(),
                role: match votes(id) {
                    true => MemberRole::Voter,
                    false => MemberRole::Learner,
                },
            })
            .collect()
    }

    /// The cluster as this node sees it, with what each member says of itself. Waits for them a moment.
    #[must_use]
    pub fn cluster(&self) -> ClusterStatus {
        let members = self.members();
        let ids: Vec<u64> = members.iter().map(|member| member.id).collect();
        let link = self.link.clone();
        let reports = self.on_runtime(async move {
            let asked = ids
                .iter()
                .map(|id| futures::future::join(link.report_of(*id), link.scrub_of(*id)));
            futures::future::join_all(asked).await
        });
        let status = self.status();
        let reports = reports.unwrap_or_default().into_iter();
        ClusterStatus {
            cluster_id: status.cluster_id,
            incarnation: self.link.incarnation,
            node: status.node_id,
            leader: status.leader,
            term: status.term,
            applied: status.applied,
            protocol: self.link.agreed_protocol(),
            members: members
                .into_iter()
                .zip(reports.chain(std::iter::repeat((None, None))))
                .map(|(member, (report, scrub))| MemberState {
                    member,
                    report,
                    scrub,
                })
                .collect(),
        }
    }

    /// Bytes of what this node asked of its peers since it was opened, and of their answers.
    #[must_use]
    pub fn carried(&self, lane: Lane) -> u64 {
        let transport = self.link.transport.as_ref();
        transport.map_or(0, |transport| transport.carried(lane))
    }

    /// Changes the members, whichever of them leads. Blocks until it is done.
    ///
    /// # Errors
    /// See [`ChangeError`]; what a change of two steps had done before it failed stays.
    pub fn change_members(&self, change: MemberChange, force: Force) -> Result<(), ChangeError> {
        let link = self.link.clone();
        self.on_runtime(async move {
            match tokio::time::timeout(CHANGE_WITHIN, link.change(change, force)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ChangeError::UnknownOutcome("no answer in time".to_owned())),
            }
        })
        .unwrap_or_else(|| Err(ChangeError::Unavailable("the node is closing".to_owned())))
    }

    /// Hands leadership to another voter, where this node has it and there is one. Blocks, for
    /// [`HAND_OVER_WITHIN`] at most.
    pub fn hand_over(&self) {
        let link = self.link.clone();
        // Without it the others elect a leader a little later.
        let _ = self.on_runtime(async move {
            let handing = link.hand_over();
            let _ = tokio::time::timeout(HAND_OVER_WITHIN * 2, handing).await;
        });
    }

    /// Runs on raft's runtime, whatever thread this is called on; `None` when that is gone.
    pub(super) fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Who asked may have given up.
            let _ = sender.try_send(work.await);
        });
        done.recv().ok()
    }
}
