//! Whether what clients saw of some refs can have happened one after the other, in an order that respects
//! real time: strict serializability, which for calls on one ref is linearizability.
//!
//! Every value is written once, and every write says which value it replaced. So the order of the writes
//! of a ref is a chain that can be read off, and nothing has to be guessed: there is an order exactly
//! if the calls, joined by who wrote what whom read, by who replaced what, and by who ended before who
//! began, have no cycle. That values which are written once make the question easy is from P. Gibbons and
//! E. Korach, "Testing Shared Memories" (SIAM J. Comput. 26(4), 1997); the graph is that of A. Adya, B. Liskov
//! and P. O'Neil, "Generalized Isolation Level Definitions" (ICDE 2000), with the real-time edges that
//! K. Kingsbury and P. Alvaro add in "Elle" (VLDB 2020).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// What a client asked and was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who asked, for messages.
    pub client: String,
    /// When it was asked; any clock that all calls share and that never repeats a moment.
    pub began: u64,
    /// When it was answered; `None` if it was not, so that it may have taken effect then, later or never.
    pub ended: Option<u64>,
    /// What refs were; for a write, what it expected and so found if it took effect.
    pub seen: BTreeMap<String, Option<String>>,
    /// What refs became. Each is in `seen` too.
    pub written: BTreeMap<String, String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}, ", self.client, self.began)?;
        match self.ended {
            Some(ended) => write!(f, "{ended}]")?,
            None => f.write_str("never]")?,
        }
        for (name, seen) in &self.seen {
            let seen = seen.as_deref().unwrap_or("nothing");
            match self.written.get(name) {
                Some(written) => write!(f, " {name}: {seen} -> {written}")?,
                None => write!(f, " {name}: {seen}")?,
            }
        }
        Ok(())
    }
}

/// What a history that can have happened holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Calls that took effect.
    pub calls: usize,
    /// Of those, the ones that wrote.
    pub writes: usize,
    /// Calls of unknown outcome that nobody saw an effect of.
    pub without_effect: usize,
}

/// Why a history cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A call is not recorded as the check needs it.
    #[error("the history is malformed: {0}")]
    Malformed(String),
    /// A value was seen that nobody wrote.
    #[error("`{value}` was seen in {name}, and nobody wrote it: {call}")]
    FromNowhere {
        /// Ref.
        name: String,
        /// Value.
        value: String,
        /// Who saw it.
        call: String,
    },
    /// Two writes replaced the same value: one of them is lost.
    #[error("two writes of {name} replaced the same value: {first}; {second}")]
    Fork {
        /// Ref.
        name: String,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// Each of these calls comes before the next, and the last before the first.
    #[error("these calls have no order:\n  {}", .0.join("\n  "))]
    Cycle(Vec<String>),
}

/// Looks for an order of the calls.
///
/// # Errors
/// There is none; why.
pub fn check(calls: &[Call]) -> Result<Accepted, Violation> {
    let writers = writers(calls)?;
    let effective = effective(calls, &writers)?;
    let graph = Graph::of(calls, &effective, &writers)?;
    match graph.cycle() {
        Some(cycle) => Err(Violation::Cycle(
            cycle
                .into_iter()
                .filter_map(|at| calls.get(at))
                .map(Call::to_string)
                .collect(),
        )),
        None => Ok(Accepted {
            calls: effective.len(),
            writes: effective
                .iter()
                .filter_map(|at| calls.get(*at))
                .filter(|call| !call.written.is_empty())
                .count(),
            without_effect: calls.len() - effective.len(),
        }),
    }
}

/// The call that wrote each value of each ref.
type Writers<'a> = BTreeMap<(&'a str, &'a str), usize>;

fn writers(calls: &[Call]) -> Result<Writers<'_>, Violation> {
    let mut writers = Writers::new();
    for (at, call) in calls.iter().enumerate() {
        if call.ended.is_some_and(|ended| ended <= call.began) {
            return Err(Violation::Malformed(format!(
                "it ended before it began: {call}"
            )));
        }
        for (name, value) in &call.written {
            let replaces = call.seen.get(name);
            if replaces.is_none_or(|seen| seen.as_ref() == Some(value)) {
                return Err(Violation::Malformed(format!(
                    "a write that does not say what it replaces in {name}: {call}"
                )));
            }
            if writers
                .insert((name.as_str(), value.as_str()), at)
                .is_some()
            {
                return Err(Violation::Malformed(format!(
                    "`{value}` is written twice to {name}: {call}"
                )));
            }
        }
    }
    Ok(writers)
}

/// Calls that took effect: those that were answered, and those that somebody saw a value of.
fn effective(calls: &[Call], writers: &Writers<'_>) -> Result<BTreeSet<usize>, Violation> {
    let mut effective: BTreeSet<usize> = (0..calls.len())
        .filter(|at| calls.get(*at).is_some_and(|call| call.ended.is_some()))
        .collect();
    let mut look_at: VecDeque<usize> = effective.iter().copied().collect();
    while let Some(call) = look_at.pop_front().and_then(|at| calls.get(at)) {
        for (name, value) in &call.seen {
            let Some(value) = value else { continue };
            let Some(writer) = writers.get(&(name.as_str(), value.as_str())) else {
                return Err(Violation::FromNowhere {
                    name: name.clone(),
                    value: value.clone(),
                    call: call.to_string(),
                });
            };
            if effective.insert(*writer) {
                look_at.push_back(*writer);
            }
        }
    }
    Ok(effective)
}

/// Calls, then one node for each end of a call, in order of time: a call comes before its end, each end before
/// the next, and the last end before a call begins comes before that call.
struct Graph {
    calls: usize,
    next: Vec<Vec<usize>>,
}

impl Graph {
    fn of(
        calls: &[Call],
        effective: &BTreeSet<usize>,
        writers: &Writers<'_>,
    ) -> Result<Self, Violation> {
        let mut ends: Vec<(u64, usize)> = effective
            .iter()
            .filter_map(|at| Some((calls.get(*at)?.ended?, *at)))
            .collect();
        ends.sort_unstable();
        let mut graph = Self {
            calls: calls.len(),
            next: vec![Vec::new(); calls.len() + ends.len()],
        };
        for (place, (_, at)) in ends.iter().enumerate() {
            graph.join(*at, calls.len() + place);
            if place > 0 {
                graph.join(calls.len() + place - 1, calls.len() + place);
            }
        }
        let mut replaced: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
        let of = |at: &usize| calls.get(*at).map(|call| (*at, call));
        for (at, call) in effective.iter().filter_map(of) {
            for name in call.written.keys() {
                let seen = call.seen.get(name).and_then(Option::as_deref);
                if let Some(other) = replaced.insert((name.as_str(), seen), at) {
                    return Err(Violation::Fork {
                        name: name.clone(),
                        first: calls.get(other).map(Call::to_string).unwrap_or_default(),
                        second: call.to_string(),
                    });
                }
            }
        }
        for (at, call) in effective.iter().filter_map(of) {
            let before = ends.partition_point(|(ended, _)| *ended < call.began);
            if let Some(end) = before.checked_sub(1) {
                graph.join(calls.len() + end, at);
            }
            for (name, seen) in &call.seen {
                let seen = seen.as_deref();
                if let Some(writer) = seen.and_then(|seen| writers.get(&(name.as_str(), seen))) {
                    graph.join(*writer, at);
                }
                if let Some(replacer) = replaced.get(&(name.as_str(), seen)) {
                    graph.join(at, *replacer);
                }
            }
        }
        Ok(graph)
    }

    fn join(&mut self, from: usize, to: usize) {
        if from != to
            && let Some(next) = self.next.get_mut(from)
        {
            next.push(to);
        }
    }

    /// The calls of a shortest cycle, if there is one.
    fn cycle(&self) -> Option<Vec<usize>> {
        let mut waits = vec![0_usize; self.next.len()];
        for to in self.next.iter().flatten() {
            if let Some(waits) = waits.get_mut(*to) {
                *waits += 1;
            }
        }
        let mut ready: Vec<usize> = (0..waits.len())
            .filter(|at| waits.get(*at) == Some(&0))
            .collect();
        let mut left = self.next.len();
        while let Some(at) = ready.pop() {
            left -= 1;
            for to in self.next.get(at).into_iter().flatten() {
                if let Some(waits) = waits.get_mut(*to) {
                    *waits -= 1;
                    if *waits == 0 {
                        ready.push(*to);
                    }
                }
            }
        }
        if left == 0 {
            return None;
        }
        let stuck: BTreeSet<usize> = (0..waits.len())
            .filter(|at| waits.get(*at).is_some_and(|waits| *waits > 0))
            .collect();
        stuck
            .iter()
            .filter(|at| **at < self.calls)
            .filter_map(|at| self.back_to(*at, &stuck))
            .min_by_key(Vec::len)
    }

    /// The calls on a shortest way from a node back to itself.
    fn back_to(&self, start: usize, within: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut look_at = VecDeque::from([start]);
        while let Some(at) = look_at.pop_front() {
            for to in self.next.get(at)? {
                if *to == start {
                    let mut way = vec![at];
                    let mut here = at;
                    while here != start {
                        here = *came_from.get(&here)?;
                        way.push(here);
                    }
                    way.reverse();
                    way.retain(|node| *node < self.calls);
                    return Some(way);
                }
                if within.contains(to) && !came_from.contains_key(to) {
                    came_from.insert(*to, at);
                    look_at.push_back(*to);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `began ended ref:seen ref:seen>written …`; `-` for nothing and for never.
    fn call(text: &str) -> Call {
        let mut words = text.split(' ');
        let began = words.next().unwrap().parse().unwrap();
        let ended = words.next().unwrap().parse().ok();
        let (mut seen, mut written) = (BTreeMap::new(), BTreeMap::new());
        for word in words {
            let (name, values) = word.split_once(':').unwrap();
            let (was, becomes) = values
                .split_once('>')
                .map_or((values, None), |(a, b)| (a, Some(b)));
            seen.insert(name.to_owned(), (was != "-").then(|| was.to_owned()));
            if let Some(value) = becomes {
                written.insert(name.to_owned(), value.to_owned());
            }
        }
        Call {
            client: "c".to_owned(),
            began,
            ended,
            seen,
            written,
        }
    }

    fn verdict(lines: &str) -> String {
        let calls: Vec<Call> = lines
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(call)
            .collect();
        match check(&calls) {
            Ok(accepted) => format!("{accepted:?}"),
            Err(violation) => violation.to_string(),
        }
    }

    #[test]
    fn calls_at_the_same_time_may_take_effect_in_any_order() {
        insta::assert_snapshot!(verdict("
            1 9 a:->one
            2 8 a:one
            3 7 a:-
            4 6 a:one>two
            5 10 a:two
        "), @"Accepted { calls: 5, writes: 2, without_effect: 0 }");
    }

    #[test]
    fn write_of_unknown_outcome_may_take_effect_late_or_never() {
        insta::assert_snapshot!(verdict("
            1 - a:->one
            2 3 a:-
            4 5 a:one
            6 - a:one>two
            7 8 a:one
        "), @"Accepted { calls: 4, writes: 1, without_effect: 1 }");
    }

    #[test]
    fn read_that_misses_an_acknowledged_write_is_stale() {
        insta::assert_snapshot!(verdict("
            1 2 a:->one
            3 4 a:one>two
            5 6 a:one
        "), @r"
        these calls have no order:
          c [3, 4] a: one -> two
          c [5, 6] a: one
        ");
    }

    #[test]
    fn acknowledged_write_that_is_gone_at_the_end_is_lost() {
        insta::assert_snapshot!(verdict("
            1 2 a:->one
            3 4 a:-
        "), @r"
        these calls have no order:
          c [1, 2] a: nothing -> one
          c [3, 4] a: nothing
        ");
    }

    #[test]
    fn two_writes_that_replaced_the_same_value_are_a_fork() {
        insta::assert_snapshot!(verdict("
            1 10 a:->one
            2 20 a:->two
        "), @"two writes of a replaced the same value: c [1, 10] a: nothing -> one; c [2, 20] a: nothing -> two");
    }

    #[test]
    fn unknown_write_that_was_seen_took_effect_once() {
        insta::assert_snapshot!(verdict("
            1 - a:->one
            2 3 a:->two
            4 5 a:one
        "), @"two writes of a replaced the same value: c [1, never] a: nothing -> one; c [2, 3] a: nothing -> two");
    }

    #[test]
    fn values_do_not_come_from_nowhere() {
        insta::assert_snapshot!(verdict("
            1 2 a:->one
            3 4 a:two
        "), @"`two` was seen in a, and nobody wrote it: c [3, 4] a: two");
    }

    #[test]
    fn second_reader_does_not_see_less_than_the_first() {
        // The write is still under way, so either may see it or not; but not in this order.
        insta::assert_snapshot!(verdict("
            1 20 a:->one
            2 3 a:one
            4 5 a:-
        "), @r"
        these calls have no order:
          c [1, 20] a: nothing -> one
          c [2, 3] a: one
          c [4, 5] a: nothing
        ");
    }

    #[test]
    fn value_is_not_read_before_its_write_began() {
        insta::assert_snapshot!(verdict("
            1 2 a:one
            3 4 a:->one
        "), @r"
        these calls have no order:
          c [1, 2] a: one
          c [3, 4] a: nothing -> one
        ");
    }

    #[test]
    fn two_refs_that_move_together_are_seen_together() {
        insta::assert_snapshot!(verdict("
            1 20 a:->one b:->uno
            2 19 a:one b:-
        "), @r"
        these calls have no order:
          c [1, 20] a: nothing -> one b: nothing -> uno
          c [2, 19] a: one b: nothing
        ");
    }

    #[test]
    fn each_of_two_transactions_that_read_the_other_s_ref_cannot_be_first() {
        // Write skew: each ref alone is linearizable.
        insta::assert_snapshot!(verdict("
            1 20 a:->one b:-
            2 19 b:->uno a:-
        "), @r"
        these calls have no order:
          c [1, 20] a: nothing -> one b: nothing
          c [2, 19] a: nothing b: nothing -> uno
        ");
    }

    #[test]
    fn history_that_is_recorded_wrongly_is_refused() {
        insta::assert_snapshot!(verdict("
            1 2 a:->one
            3 4 a:one>one
        "), @"the history is malformed: a write that does not say what it replaces in a: c [3, 4] a: one -> one");
        insta::assert_snapshot!(verdict("4 3 a:-"), @"the history is malformed: it ended before it began: c [4, 3] a: nothing");
    }

    /// Tries every order of every choice of the unknown calls.
    fn has_order(calls: &[Call]) -> bool {
        fn go(calls: &[Call], done: &mut Vec<usize>, refs: &BTreeMap<String, String>) -> bool {
            let open: Vec<usize> = (0..calls.len()).filter(|at| !done.contains(at)).collect();
            if open.iter().all(|at| calls[*at].ended.is_none()) {
                return true;
            }
            for &at in &open {
                let too_early = open.iter().any(|&other| {
                    calls[other]
                        .ended
                        .is_some_and(|ended| ended < calls[at].began)
                });
                let holds = calls[at]
                    .seen
                    .iter()
                    .all(|(name, seen)| refs.get(name) == seen.as_ref());
                if too_early || !holds {
                    continue;
                }
                let mut after = refs.clone();
                after.extend(calls[at].written.clone());
                done.push(at);
                if go(calls, done, &after) {
                    return true;
                }
                done.pop();
            }
            false
        }
        go(calls, &mut Vec::new(), &BTreeMap::new())
    }

    fn small_history() -> impl Strategy<Value = Vec<Call>> {
        let one = (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            prop::bool::weighted(0.8),
            0_u8..3,
            0_usize..4,
            0_usize..4,
            0_u8..3,
        );
        prop::collection::vec(one, 1..6).prop_map(|choices| {
            // Each call has two of the moments.
            let mut moments: Vec<u64> = (1..=2 * choices.len() as u64).collect();
            let mut calls = Vec::new();
            for (at, (first, second, answered, names, a, b, writes)) in
                choices.into_iter().enumerate()
            {
                let one = moments.remove(first.index(moments.len()));
                let other = moments.remove(second.index(moments.len()));
                let value = |of: usize| (of > 0).then(|| format!("v{}", of - 1));
                let mut seen = BTreeMap::new();
                let mut written = BTreeMap::new();
                for (bit, name, was) in [(1, "a", a), (2, "b", b)] {
                    if names != 2 - bit || names == 2 {
                        seen.insert(name.to_owned(), value(was));
                        if writes & bit != 0 && value(was) != Some(format!("v{at}")) {
                            written.insert(name.to_owned(), format!("v{at}"));
                        }
                    }
                }
                calls.push(Call {
                    client: at.to_string(),
                    began: one.min(other),
                    ended: answered.then(|| one.max(other)),
                    seen,
                    written,
                });
            }
            calls
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

        #[test]
        fn verdict_is_that_of_trying_every_order(calls in small_history()) {
            let verdict = check(&calls);
            prop_assert_eq!(verdict.is_ok(), has_order(&calls), "{:?}", verdict);
        }
    }
}
