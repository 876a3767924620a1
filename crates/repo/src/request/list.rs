//! Which requests there are.

use confman_model::Namespace;
use confman_policy::request::{Command, State, decide};

use super::RequestInfo;
use super::record::RequestRecord;
use crate::error::{Error, What};
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most requests looked at for one page; a filter that matches few gives short pages.
pub const REQUESTS_SCANNED_MAX: u64 = 2000;

/// Which requests are wanted; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Only in one of these states; any where empty.
    pub states: Vec<State>,
    /// Only about this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only submitted by this principal.
    pub author: Option<String>,
    /// Only those that wait for an approval of the actor.
    pub waiting_for_me: bool,
    /// Only emergencies that nobody has acknowledged.
    pub unacknowledged: bool,
}

/// A page of requests.
#[derive(Clone, Debug)]
pub struct Requests {
    /// Newest first, without their changes.
    pub requests: Vec<RequestInfo>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Requests, newest first. A page can be short and still have a next one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn requests(
        &self,
        filter: &RequestFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Requests, Error> {
        let seen = self.look()?;
        let mut page = Requests {
            requests: Vec::new(),
            next: None,
            filtered: false,
            index: seen.index(),
        };
        let newest = seen.request_count()?;
        let first = after.map_or(newest, |after| after.saturating_sub(1).min(newest));
        let last = first.saturating_sub(REQUESTS_SCANNED_MAX - 1).max(1);
        for number in (last..=first).rev() {
            if page.requests.len() == limit {
                page.next = Some(number + 1);
                return Ok(page);
            }
            match seen.matching(number, filter) {
                Ok(Some(info)) => page.requests.push(info),
                Ok(None) => {}
                Err(Error::NotFound {
                    what: What::Request,
                    ..
                }) => page.filtered = true,
                Err(error) => return Err(error),
            }
        }
        if last > 1 && first > 0 {
            page.next = Some(last);
        }
        Ok(page)
    }
}

impl Seen<'_> {
    /// The request, if it is wanted.
    fn matching(&self, number: u64, filter: &RequestFilter) -> Result<Option<RequestInfo>, Error> {
        // What is not wanted is not even looked up, so that nothing can be learned from a filter.
        let Some((_, raw)) = self.record(&names::request(number)?)? else {
            return Err(Error::not_found(What::Request, format!("#{number}")));
        };
        let stored = RequestRecord::read(&raw)?;
        let within = |wanted: &Namespace| {
            stored
                .targets
                .iter()
                .any(|target| wanted.contains(&target.namespace))
        };
        let unacknowledged = stored
            .emergency
            .as_ref()
            .is_some_and(|emergency| emergency.acknowledged_by.is_none());
        let is_wanted = filter.namespace.as_ref().is_none_or(within)
            && filter
                .author
                .as_ref()
                .is_none_or(|author| *author == stored.submitted_by)
            && (!filter.unacknowledged || unacknowledged);
        let may_be = |state: &State| match stored.state.0 {
            State::PendingReview | State::Approved => {
                matches!(state, State::PendingReview | State::Approved)
            }
            fixed => *state == fixed,
        };
        let possible = filter.states.is_empty() || filter.states.iter().any(may_be);
        if !is_wanted || !possible || (filter.waiting_for_me && stored.state.0.is_final()) {
            return Ok(None);
        }
        let (id, record, updated_ms) = self.request_record(number)?;
        if record.state.0.is_final() {
            return Ok(Some(self.request_info(number, id, record, updated_ms, 0)?));
        }
        let loaded = self.load(number, id, record, updated_ms, self.now_ms())?;
        let info = self.open_info(&loaded, 0)?;
        if !filter.states.is_empty() && !filter.states.contains(&info.state) {
            return Ok(None);
        }
        if filter.waiting_for_me {
            let me = self.actor.principal();
            let approve = Command::Approve {
                seen: loaded.facts.proposal.clone().unwrap_or_default(),
            };
            let can = decide(&loaded.record.as_policy(), &approve, &loaded.facts).is_ok();
            let has = |it: &confman_policy::request::TargetStatus| {
                it.approved_by.iter().any(|by| by == me)
            };
            if info.state != State::PendingReview || !can || info.status.iter().any(has) {
                return Ok(None);
            }
        }
        Ok(Some(info))
    }
}
