//! The state machine against a small reference that works by other means: it keeps what each reviewer
//! has seen as a whole, and weighs everything from the start each time.

use std::collections::{BTreeMap, BTreeSet};

use confman_model::document::{
    AutoApproveRule, ChangeKind, FreezeWindow, Guards, RoleName as Role, Settings,
};
use proptest::prelude::*;

use super::*;
use crate::permission::permits;

/// Sequences that are tried.
const SEQUENCES: u32 = 10_000;
/// Steps of the longest.
const STEPS_MAX: usize = 32;
const PEOPLE: [&str; 4] = ["ann", "bob", "cat", "dan"];

/// What somebody does, or what happens around the request.
#[derive(Clone, Debug)]
enum Step {
    Push {
        target: usize,
        who: usize,
    },
    PushBack {
        target: usize,
    },
    DeleteDraft {
        target: usize,
    },
    Role {
        target: usize,
        who: usize,
        role: Option<Role>,
    },
    Leave {
        who: usize,
    },
    Setting {
        target: usize,
        setting: Setting,
    },
    Wait {
        hours: i64,
    },
    Edit {
        who: usize,
    },
    Comment {
        who: usize,
    },
    Approve {
        who: usize,
        looks: bool,
    },
    Reject {
        who: usize,
        says_why: bool,
    },
    Schedule {
        who: usize,
        hours: i64,
    },
    Unschedule {
        who: usize,
    },
    Publish {
        who: usize,
        looks: bool,
    },
    Emergency {
        who: usize,
        says_why: bool,
    },
    Due,
    Advance,
    Promote {
        who: usize,
        looks: bool,
    },
    Abort {
        who: usize,
        says_why: bool,
    },
    Withdraw {
        who: usize,
    },
    Acknowledge {
        who: usize,
    },
}

#[derive(Clone, Debug)]
enum Setting {
    Require(bool),
    Approvers(u32),
    SelfApproval(bool),
    Leads(bool),
    Freeze(bool),
    Guard(Option<Option<u32>>),
    AutoApprove(Option<Role>),
}

/// One namespace around the request.
#[derive(Clone, Debug)]
struct Place {
    /// Each push makes a new commit; `None` where the draft is gone.
    head: Option<u32>,
    pushes: u32,
    committers: BTreeSet<usize>,
    roles: BTreeMap<usize, Role>,
    require: bool,
    min: u32,
    own: bool,
    leads: bool,
    frozen: bool,
    guard: Option<Option<u32>>,
    auto: Option<Role>,
}

/// The reference. It knows the rules of `docs/PUBLISHING.md`, and nothing of the code under test.
#[derive(Clone, Debug)]
struct Reference {
    places: Vec<Place>,
    exists: BTreeSet<usize>,
    hour: i64,
    edits: u32,
    editors: BTreeSet<usize>,
    /// By reviewer: approves?, and everything as the reviewer saw it.
    said: BTreeMap<usize, (bool, Vec<Option<u32>>, u32)>,
    /// `None` while it is open for review.
    fixed: Option<State>,
    schedule: Option<(usize, i64, Vec<Option<u32>>, u32)>,
    emergency: Option<usize>,
    /// Whether it is published in [`STAGES`].
    gradual: bool,
    rollout: Option<Begun>,
}

/// A gradual publish that was begun.
#[derive(Clone, Debug)]
struct Begun {
    by: usize,
    heads: Vec<Option<u32>>,
    edits: u32,
    stage: usize,
    since: i64,
}

/// Hours that the stages of a gradual publish last.
const STAGES: [Option<i64>; 2] = [Some(1), Some(2)];

const AUTHOR: usize = 0;

impl Reference {
    fn new(places: Vec<Place>) -> Self {
        Self {
            places,
            exists: (0..PEOPLE.len()).collect(),
            hour: 0,
            edits: 0,
            editors: BTreeSet::new(),
            said: BTreeMap::new(),
            fixed: None,
            schedule: None,
            emergency: None,
            gradual: false,
            rollout: None,
        }
    }

    /// Whether what was begun is still what would be published.
    fn still(&self, begun: &Begun) -> bool {
        self.whole() && begun.heads == self.heads() && begun.edits == self.edits
    }

    fn is_time(&self, begun: &Begun) -> bool {
        STAGES[begun.stage].is_some_and(|hours| begun.since + hours <= self.hour)
    }

    fn heads(&self) -> Vec<Option<u32>> {
        self.places.iter().map(|place| place.head).collect()
    }

    fn whole(&self) -> bool {
        self.heads().iter().all(Option::is_some)
    }

    fn has(&self, place: &Place, who: usize, least: Role) -> bool {
        self.exists.contains(&who) && place.roles.get(&who).is_some_and(|role| *role >= least)
    }

    fn all(&self, who: usize, least: Role) -> bool {
        self.places.iter().all(|place| self.has(place, who, least))
    }

    fn some(&self, who: usize, least: Role) -> bool {
        self.places.iter().any(|place| self.has(place, who, least))
    }

    fn made_it(&self, who: usize) -> bool {
        who == AUTHOR
            || self.editors.contains(&who)
            || self
                .places
                .iter()
                .any(|place| place.committers.contains(&who))
    }

    /// Whether a yes of this person weighs anything in a place.
    fn weighs(&self, place: &Place, who: usize) -> bool {
        let is_lead = who % 2 == 1;
        self.has(place, who, Role::Publisher)
            && (!place.leads || is_lead)
            && (place.own || !self.made_it(who))
    }

    fn yeses(&self, place: &Place) -> u32 {
        let now = (self.heads(), self.edits);
        let people = (0..PEOPLE.len()).filter(|who| match self.said.get(who) {
            Some((true, heads, edits)) => {
                (heads, edits) == (&now.0, &now.1) && self.weighs(place, *who)
            }
            _ => false,
        });
        people.count() as u32
    }

    fn auto(&self, place: &Place) -> bool {
        place.auto.is_some_and(|role| {
            (0..PEOPLE.len())
                .filter(|who| self.made_it(*who))
                .all(|who| self.has(place, who, role))
        })
    }

    fn reviewed(&self, place: &Place) -> bool {
        !place.require || self.auto(place) || self.yeses(place) >= place.min
    }

    fn guarded(&self, place: &Place) -> bool {
        match place.guard {
            None => false,
            Some(None) => true,
            Some(Some(needed)) => self.yeses(place) < needed,
        }
    }

    fn state(&self) -> State {
        let enough = |place: &Place| {
            let lifted = match place.guard {
                Some(Some(needed)) => self.yeses(place) >= needed,
                _ => true,
            };
            self.reviewed(place) && lifted
        };
        match self.fixed {
            Some(state) => state,
            None if self.whole() && self.places.iter().all(enough) => State::Approved,
            None => State::PendingReview,
        }
    }

    /// Whether nothing is in the way; a freeze lasts from hour 10 up to hour 20.
    fn free(&self, hour: i64) -> bool {
        self.places.iter().all(|place| {
            let frozen = place.frozen && (10..20).contains(&hour);
            self.reviewed(place) && !self.guarded(place) && !frozen
        })
    }

    /// Does a step where the rules allow it.
    fn step(&mut self, step: &Step, seen: &(Vec<Option<u32>>, u32)) -> bool {
        let state = self.state();
        let open = matches!(
            state,
            State::PendingReview | State::Approved | State::Scheduled
        );
        let now = (self.heads(), self.edits);
        let allowed = match step {
            Step::Edit { who } => {
                self.all(*who, Role::Editor)
                    && (open || matches!(state, State::Rejected | State::Suspended))
                    && self.whole()
            }
            Step::Comment { .. } => true,
            Step::Approve { who, looks } => {
                self.some(*who, Role::Publisher)
                    && open
                    && self.whole()
                    && (*looks || *seen == now)
                    && self.places.iter().any(|place| self.weighs(place, *who))
            }
            Step::Reject { who, says_why } => {
                self.some(*who, Role::Publisher) && (open || state == State::Suspended) && *says_why
            }
            Step::Schedule { who, hours } => {
                self.all(*who, Role::Publisher)
                    && open
                    && self.whole()
                    && *hours > 0
                    && self.free(self.hour + hours)
            }
            Step::Unschedule { who } => {
                (*who == AUTHOR || self.all(*who, Role::Publisher)) && state == State::Scheduled
            }
            Step::Publish { who, looks } => {
                self.all(*who, Role::Publisher)
                    && open
                    && self.whole()
                    && (*looks || *seen == now)
                    && self.free(self.hour)
            }
            Step::Emergency { who, says_why } => {
                self.all(*who, Role::Publisher)
                    && (open || matches!(state, State::RollingOut | State::Suspended))
                    && self.whole()
                    && *says_why
            }
            Step::Advance => self.rollout.as_ref().is_some_and(|begun| {
                state == State::RollingOut
                    && self.all(begun.by, Role::Publisher)
                    && self.still(begun)
                    && self.is_time(begun)
                    && (begun.stage + 1 < STAGES.len() || self.free(self.hour))
            }),
            Step::Promote { who, looks } => {
                self.all(*who, Role::Publisher)
                    && state == State::RollingOut
                    && self.rollout.as_ref().is_some_and(|begun| self.still(begun))
                    && (*looks || *seen == now)
                    && self.free(self.hour)
            }
            Step::Abort { who, says_why } => {
                (*who == AUTHOR || self.all(*who, Role::Publisher))
                    && state == State::RollingOut
                    && *says_why
            }
            Step::Due => match &self.schedule {
                Some((by, at, heads, edits)) => {
                    state == State::Scheduled
                        && self.all(*by, Role::Publisher)
                        && *at <= self.hour
                        && self.whole()
                        && (heads, edits) == (&now.0, &now.1)
                        && self.free(self.hour)
                }
                None => false,
            },
            Step::Withdraw { who } => {
                (*who == AUTHOR || self.some(*who, Role::Publisher))
                    && (open || matches!(state, State::Rejected | State::Suspended))
            }
            Step::Acknowledge { who } => {
                self.all(*who, Role::Admin)
                    && self.emergency.is_some()
                    && (self.emergency != Some(*who) || self.places.iter().all(|place| place.own))
            }
            around => {
                self.happen(around);
                true
            }
        };
        if allowed {
            self.done(step, state);
        } else if matches!(step, Step::Due) && self.is_due() {
            self.fixed = Some(State::Suspended);
        }
        allowed
    }

    fn is_due(&self) -> bool {
        let at = self.schedule.as_ref().map(|schedule| schedule.1);
        self.state() == State::Scheduled && at.is_some_and(|at| at <= self.hour)
    }

    fn done(&mut self, step: &Step, before: State) {
        let now = (self.heads(), self.edits);
        match step {
            Step::Edit { who } => {
                self.edits += 1;
                self.editors.insert(*who);
                self.fixed = None;
                self.schedule = None;
            }
            Step::Approve { who, .. } => {
                self.said.insert(*who, (true, now.0, now.1));
            }
            Step::Reject { who, .. } => {
                self.said.insert(*who, (false, now.0, now.1));
                self.fixed = Some(State::Rejected);
                self.schedule = None;
            }
            Step::Schedule { who, hours } => {
                self.schedule = Some((*who, self.hour + hours, now.0, now.1));
                self.fixed = Some(State::Scheduled);
            }
            Step::Unschedule { .. } => {
                self.fixed = None;
                self.schedule = None;
            }
            Step::Publish { who, .. } if self.gradual => self.begin(*who),
            Step::Due if self.gradual => {
                let by = self.schedule.as_ref().map_or(AUTHOR, |schedule| schedule.0);
                self.begin(by);
            }
            Step::Publish { .. } | Step::Due | Step::Promote { .. } => {
                self.fixed = Some(State::Published);
            }
            Step::Advance => {
                let hour = self.hour;
                match &mut self.rollout {
                    Some(begun) if begun.stage + 1 < STAGES.len() => {
                        begun.stage += 1;
                        begun.since = hour;
                    }
                    _ => self.fixed = Some(State::Published),
                }
            }
            Step::Abort { .. } => self.fixed = Some(State::Suspended),
            Step::Emergency { who, .. } => {
                self.fixed = Some(State::Published);
                self.emergency = Some(*who);
            }
            Step::Withdraw { .. } => self.fixed = Some(State::Withdrawn),
            Step::Acknowledge { .. } => self.emergency = None,
            _ => assert_eq!(before.is_final(), self.state().is_final()),
        }
    }

    fn begin(&mut self, by: usize) {
        self.fixed = Some(State::RollingOut);
        self.rollout = Some(Begun {
            by,
            heads: self.heads(),
            edits: self.edits,
            stage: 0,
            since: self.hour,
        });
    }

    /// What goes on around a request.
    fn happen(&mut self, step: &Step) {
        match step {
            Step::Push { target, who } => {
                let place = &mut self.places[*target];
                place.pushes += 1;
                place.head = Some(place.pushes);
                place.committers.insert(*who);
            }
            Step::PushBack { target } => {
                let place = &mut self.places[*target];
                place.head = Some(1);
            }
            Step::DeleteDraft { target } => self.places[*target].head = None,
            Step::Role { target, who, role } => {
                let roles = &mut self.places[*target].roles;
                match role {
                    Some(role) => roles.insert(*who, *role),
                    None => roles.remove(who),
                };
            }
            Step::Leave { who } => {
                self.exists.remove(who);
            }
            Step::Wait { hours } => self.hour += hours,
            Step::Setting { target, setting } => {
                let place = &mut self.places[*target];
                match setting {
                    Setting::Require(require) => place.require = *require,
                    Setting::Approvers(min) => place.min = *min,
                    Setting::SelfApproval(own) => place.own = *own,
                    Setting::Leads(leads) => place.leads = *leads,
                    Setting::Freeze(frozen) => place.frozen = *frozen,
                    Setting::Guard(guard) => place.guard = *guard,
                    Setting::AutoApprove(role) => place.auto = *role,
                }
            }
            _ => {}
        }
    }
}

/// The world as the code under test is told of it.
fn facts(world: &Reference, actor: usize) -> Facts {
    let targets = world.places.iter().enumerate().map(|(at, place)| {
        let names = |people: &mut dyn Iterator<Item = usize>| {
            people.map(|who| PEOPLE[who].to_owned()).collect()
        };
        let standings = world.exists.iter().map(|who| {
            let groups = match who % 2 {
                1 => vec!["leads".to_owned()],
                _ => Vec::new(),
            };
            let role = place.roles.get(who).copied();
            (PEOPLE[*who].to_owned(), Standing { role, groups })
        });
        let role = place
            .roles
            .get(&actor)
            .filter(|_| world.exists.contains(&actor));
        TargetFacts {
            namespace: format!("/n{at}").parse().unwrap(),
            settings: Settings {
                require_approval: Some(place.require),
                min_approvers: Some(place.min),
                approvers: place.leads.then(|| "group:leads".to_owned()),
                allow_self_approval: Some(place.own),
                auto_approve: place.auto.map(|role| {
                    vec![AutoApproveRule {
                        name: "all".to_owned(),
                        roles: vec![role],
                        ..AutoApproveRule::default()
                    }]
                }),
                freeze: place.frozen.then(|| {
                    vec![FreezeWindow {
                        from: "1970-01-01T10:00:00Z".to_owned(),
                        until: "1970-01-01T20:00:00Z".to_owned(),
                        reason: String::new(),
                    }]
                }),
                guards: place.guard.map(|approvers| Guards {
                    keys_removed_max: Some(0),
                    approvers,
                    ..Guards::default()
                }),
                ..Settings::default()
            },
            actor_may: Permission::ALL
                .into_iter()
                .filter(|permission| role.is_some_and(|role| permits(*role, *permission)))
                .collect(),
            committers: names(&mut place.committers.iter().copied()),
            changes: vec![ChangeFacts {
                key: "k".parse().unwrap(),
                kind: ChangeKind::Remove,
                tags: BTreeSet::new(),
                growth_bytes: 0,
            }],
            keys_before: 5,
            standings: standings.collect(),
        }
    });
    Facts {
        actor: PEOPLE[actor].to_owned(),
        now_ms: world.hour * 3_600_000,
        proposal: world
            .whole()
            .then(|| format!("{:?} {}", world.heads(), world.edits)),
        targets: targets.collect(),
    }
}

/// What a step is as a command, where it is one, and who gives it.
fn command(step: &Step, world: &Reference, seen: &str) -> Option<(usize, Command)> {
    let proposal = |looks: bool| match looks {
        true => facts(world, 0).proposal.unwrap_or_default(),
        false => seen.to_owned(),
    };
    let reason = |says_why: bool| if says_why { "because" } else { " " }.to_owned();
    Some(match step {
        Step::Edit { who } => (*who, Command::Edit),
        Step::Comment { who } => (*who, Command::Comment),
        Step::Approve { who, looks } => (
            *who,
            Command::Approve {
                seen: proposal(*looks),
            },
        ),
        Step::Reject { who, says_why } => (
            *who,
            Command::Reject {
                reason: reason(*says_why),
            },
        ),
        Step::Schedule { who, hours } => (
            *who,
            Command::Schedule {
                seen: None,
                at_ms: (world.hour + hours) * 3_600_000,
            },
        ),
        Step::Unschedule { who } => (*who, Command::Unschedule),
        Step::Publish { who, looks } => (
            *who,
            Command::Publish {
                seen: Some(proposal(*looks)),
                emergency: None,
            },
        ),
        Step::Emergency { who, says_why } => (
            *who,
            Command::Publish {
                seen: None,
                emergency: Some(reason(*says_why)),
            },
        ),
        Step::Due => {
            let by = world.schedule.as_ref().map_or(0, |schedule| schedule.0);
            (by, Command::Due)
        }
        Step::Advance => {
            let by = world.rollout.as_ref().map_or(0, |begun| begun.by);
            (by, Command::Advance)
        }
        Step::Promote { who, looks } => (
            *who,
            Command::Promote {
                seen: Some(proposal(*looks)),
            },
        ),
        Step::Abort { who, says_why } => (
            *who,
            Command::Abort {
                reason: reason(*says_why),
            },
        ),
        Step::Withdraw { who } => (*who, Command::Withdraw),
        Step::Acknowledge { who } => (*who, Command::Acknowledge),
        _ => return None,
    })
}

/// Writes down what a command did, as a record does.
fn write(request: &mut Request, command: &Command, decision: &Decision, facts: &Facts) {
    let mut review = |verdict| {
        request.reviews.push(Review {
            reviewer: facts.actor.clone(),
            verdict,
            proposal: facts.proposal.clone().unwrap_or_default(),
        });
    };
    match command {
        Command::Edit => {
            request.edited_by.insert(facts.actor.clone());
        }
        Command::Approve { .. } => review(Verdict::Approve),
        Command::Reject { .. } => review(Verdict::Reject),
        Command::Schedule { at_ms, .. } => {
            request.schedule = Some(Schedule {
                by: facts.actor.clone(),
                at_ms: *at_ms,
                proposal: facts.proposal.clone().unwrap_or_default(),
            });
        }
        Command::Publish {
            emergency: Some(_), ..
        } => request.emergency_by = Some(facts.actor.clone()),
        Command::Acknowledge => request.emergency_by = None,
        Command::Advance => {
            if let Some(rollout) = &mut request.rollout {
                rollout.stage += 1;
                rollout.since_ms = facts.now_ms;
            }
        }
        _ => {}
    }
    if decision.state == State::RollingOut && request.state != State::RollingOut {
        request.rollout = Some(Rollout {
            by: facts.actor.clone(),
            proposal: facts.proposal.clone().unwrap_or_default(),
            stage: 0,
            since_ms: facts.now_ms,
        });
    }
    request.state = decision.state;
}

fn place() -> impl Strategy<Value = Place> {
    let roles = prop::collection::btree_map(0..PEOPLE.len(), role(), 2..=PEOPLE.len());
    (roles, any::<bool>(), 1..=2_u32).prop_map(|(roles, require, min)| Place {
        head: Some(1),
        pushes: 1,
        committers: BTreeSet::from([AUTHOR]),
        roles,
        require,
        min,
        own: false,
        leads: false,
        frozen: false,
        guard: None,
        auto: None,
    })
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![
        Role::Viewer,
        Role::Editor,
        Role::Publisher,
        Role::Publisher,
        Role::Admin,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE.len();
    let target = || 0..2_usize;
    let setting = prop_oneof![
        any::<bool>().prop_map(Setting::Require),
        (1..=3_u32).prop_map(Setting::Approvers),
        any::<bool>().prop_map(Setting::SelfApproval),
        any::<bool>().prop_map(Setting::Leads),
        any::<bool>().prop_map(Setting::Freeze),
        prop::option::of(prop::option::of(1..=2_u32)).prop_map(Setting::Guard),
        prop::option::of(role()).prop_map(Setting::AutoApprove),
    ];
    prop_oneof![
        2 => (target(), who()).prop_map(|(target, who)| Step::Push { target, who }),
        1 => target().prop_map(|target| Step::PushBack { target }),
        1 => target().prop_map(|target| Step::DeleteDraft { target }),
        2 => (target(), who(), prop::option::of(role()))
            .prop_map(|(target, who, role)| Step::Role { target, who, role }),
        1 => who().prop_map(|who| Step::Leave { who }),
        3 => (target(), setting).prop_map(|(target, setting)| Step::Setting { target, setting }),
        3 => (1..8_i64).prop_map(|hours| Step::Wait { hours }),
        2 => who().prop_map(|who| Step::Edit { who }),
        1 => who().prop_map(|who| Step::Comment { who }),
        8 => (who(), prop::bool::weighted(0.9)).prop_map(|(who, looks)| Step::Approve { who, looks }),
        1 => (who(), any::<bool>()).prop_map(|(who, says_why)| Step::Reject { who, says_why }),
        3 => (who(), -1..12_i64).prop_map(|(who, hours)| Step::Schedule { who, hours }),
        2 => who().prop_map(|who| Step::Unschedule { who }),
        4 => (who(), prop::bool::weighted(0.9)).prop_map(|(who, looks)| Step::Publish { who, looks }),
        4 => (who(), any::<bool>()).prop_map(|(who, says_why)| Step::Emergency { who, says_why }),
        3 => Just(Step::Due),
        6 => Just(Step::Advance),
        2 => (who(), prop::bool::weighted(0.9)).prop_map(|(who, looks)| Step::Promote { who, looks }),
        3 => (who(), any::<bool>()).prop_map(|(who, says_why)| Step::Abort { who, says_why }),
        1 => who().prop_map(|who| Step::Withdraw { who }),
        8 => who().prop_map(|who| Step::Acknowledge { who }),
    ]
}

/// Does the steps in both, and says what both came to.
fn run(
    places: Vec<Place>,
    gradual: bool,
    steps: &[Step],
) -> Result<Vec<(&'static str, bool)>, TestCaseError> {
    let count = places.len();
    let mut world = Reference::new(places);
    world.gradual = gradual;
    let stage = |(at, hours): (usize, Option<i64>)| Stage {
        percent: 10 + 40 * at as u8,
        for_ms: hours.map(|hours| hours * 3_600_000),
    };
    let mut request = Request {
        state: State::PendingReview,
        submitted_by: PEOPLE[AUTHOR].to_owned(),
        edited_by: BTreeSet::new(),
        reviews: Vec::new(),
        schedule: None,
        stages: match gradual {
            true => STAGES.into_iter().enumerate().map(stage).collect(),
            false => Vec::new(),
        },
        rollout: None,
        emergency_by: None,
    };
    // What somebody has seen who does not look again.
    let seen = (world.heads(), world.edits);
    let seen_proposal = facts(&world, 0).proposal.unwrap_or_default();
    let mut did = Vec::new();
    for step in steps {
        let step = within(step, count);
        match command(&step, &world, &seen_proposal) {
            None => {
                world.step(&step, &seen);
            }
            Some((actor, command)) => {
                let facts = facts(&world, actor);
                let decided = decide(&request, &command, &facts);
                let due = world.is_due();
                let allowed = world.step(&step, &seen);
                prop_assert_eq!(decided.is_ok(), allowed, "{:?}: {:?}", &step, &decided);
                match &decided {
                    Ok(decision) => write(&mut request, &command, decision, &facts),
                    Err(_) if command == Command::Due && due => {
                        let decision = decide(&request, &Command::Suspend, &facts).unwrap();
                        write(&mut request, &Command::Suspend, &decision, &facts);
                    }
                    Err(_) => {}
                }
                did.push((command.name(), allowed));
            }
        }
        prop_assert_eq!(
            current_state(&request, &facts(&world, 0)),
            world.state(),
            "after {:?}",
            &step
        );
    }
    Ok(did)
}

/// The same step, where there are fewer namespaces.
fn within(step: &Step, count: usize) -> Step {
    let mut step = step.clone();
    match &mut step {
        Step::Push { target, .. }
        | Step::PushBack { target }
        | Step::DeleteDraft { target }
        | Step::Role { target, .. }
        | Step::Setting { target, .. } => *target %= count,
        _ => {}
    }
    step
}

/// What people do, by the names under which it is counted.
const COMMANDS: [&str; 11] = [
    "edit",
    "approve",
    "reject",
    "schedule",
    "unschedule",
    "publish",
    "advance",
    "promote",
    "abort",
    "withdraw",
    "acknowledge",
];
/// How often each has to be allowed, and refused.
const OFTEN: u64 = 20;
/// In how many times the sequences.
const ROUNDS_MAX: usize = 5;

#[test]
fn random_commands_by_random_people_do_what_the_reference_does() {
    let sequences = (
        prop::collection::vec(place(), 1..=2),
        any::<bool>(),
        prop::collection::vec(step(), 1..=STEPS_MAX),
    );
    let tally = std::cell::RefCell::new(BTreeMap::<(&str, bool), u64>::new());
    let rarest = || {
        let tally = tally.borrow();
        let outcomes = COMMANDS
            .iter()
            .flat_map(|name| [(*name, true), (*name, false)]);
        outcomes
            .map(|outcome| (tally.get(&outcome).copied().unwrap_or(0), outcome))
            .min()
    };
    // Each command is to be allowed and refused often enough for the comparison to mean something.
    for _ in 0..ROUNDS_MAX {
        // One runner runs its cases once.
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: SEQUENCES,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        runner
            .run(&sequences, |(places, gradual, steps)| {
                for outcome in run(places, gradual, &steps)? {
                    *tally.borrow_mut().entry(outcome).or_default() += 1;
                }
                Ok(())
            })
            .unwrap();
        if rarest().is_some_and(|(count, _)| count > OFTEN) {
            return;
        }
    }
    panic!("too rare: {:?}", rarest());
}
