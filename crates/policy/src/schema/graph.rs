//! All subschemas of a schema and what leads from one to another: counted, resolved and bounded
//! before any of them is compiled.
//!
//! INVARIANT: it calls itself no deeper than a document is nested.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use confman_model::SchemaPath;
use confman_model::json::JSON_DEPTH_MAX;
use jsonschema::uri;
use serde_json::{Map, Value};

use super::document::{SchemaDocument, SchemaError, SchemaProblem, located};
use super::keyword::{self, Applies};
use super::rules;
use super::{
    DIALECT, ENUM_VALUES_MAX, EVALUATIONS_MAX, EXTENSION_PREFIX, PATTERN_BYTES_MAX, PATTERNS_MAX,
    SCHEMA_DOCUMENTS_MAX, STORE, SUBSCHEMAS_MAX, uri_of,
};

/// The keywords by which a schema names itself, or its dialect.
const NAMING: [&str; 4] = ["$schema", "$id", "$anchor", "$dynamicAnchor"];
/// Where the dialect's own schemas are.
const DIALECT_PREFIX: &str = "https://json-schema.org/draft/2020-12/";
/// Most steps that bounding a schema may take.
const BOUNDING_STEPS_MAX: usize = 3_000_000;
/// Most schemas that have one `$dynamicAnchor` of the same name.
const DYNAMIC_ANCHORS_MAX: usize = 16;
/// How much more a schema with `unevaluated…` looks at a value: it asks again what was evaluated.
const UNEVALUATED_FACTOR: u64 = 3;

/// One subschema.
#[derive(Debug)]
pub(super) struct Node {
    /// In which document.
    pub document: usize,
    /// Where in it.
    pub pointer: String,
    /// Whether it has extensions of JSON Schema.
    pub extended: bool,
    /// Against what its references resolve.
    base: Arc<str>,
    /// Subschemas that apply to the same value: whether always, and how often.
    pub here: Vec<(usize, bool, u64)>,
    /// Subschemas that apply to the same value, one of each list, depending on what led here.
    dynamic: Vec<Vec<usize>>,
    /// Subschemas of parts, by the name of the part.
    pub named: Vec<(String, usize)>,
    /// Subschemas of parts that are not named one by one, by the keyword's place in the schema.
    pub parts: Vec<(String, usize)>,
}

struct Reference {
    from: usize,
    keyword: &'static str,
    target: String,
}

/// A schema while its documents are gathered.
pub(super) struct Graph {
    root: SchemaPath,
    documents: Vec<(SchemaPath, Arc<SchemaDocument>)>,
    nodes: Vec<Node>,
    /// The subschemas by their places, of those before `placed`.
    places: HashMap<(usize, String), usize>,
    placed: usize,
    resources: HashMap<String, usize>,
    anchors: HashMap<(String, String), usize>,
    dynamic: HashMap<String, Vec<usize>>,
    references: Vec<Reference>,
    /// References before this one were looked at for documents that are missing.
    looked_at: usize,
    absent: BTreeSet<SchemaPath>,
    patterns: usize,
    problems: Vec<SchemaProblem>,
    stopped: bool,
}

/// A schema all of whose parts are known and within their limits.
pub(super) struct Checked {
    pub root: SchemaPath,
    pub documents: Vec<(SchemaPath, Arc<SchemaDocument>)>,
    pub nodes: Vec<Node>,
    pub resources: BTreeMap<String, (SchemaPath, String)>,
    pub evaluations: u64,
}

impl Checked {
    /// The object that a subschema is, unless it is `true` or `false`.
    pub fn object(&self, node: usize) -> Option<&Map<String, Value>> {
        let node = self.nodes.get(node)?;
        let (_, document) = self.documents.get(node.document)?;
        document.prepared().pointer(&node.pointer)?.as_object()
    }
}

impl Graph {
    pub fn new(path: &SchemaPath, document: Arc<SchemaDocument>) -> Self {
        let mut graph = Self {
            root: path.clone(),
            documents: Vec::new(),
            nodes: Vec::new(),
            places: HashMap::new(),
            placed: 0,
            resources: HashMap::new(),
            anchors: HashMap::new(),
            dynamic: HashMap::new(),
            references: Vec::new(),
            looked_at: 0,
            absent: BTreeSet::new(),
            patterns: 0,
            problems: Vec::new(),
            stopped: false,
        };
        graph.add(path.clone(), Some(document));
        graph
    }

    /// A document that something refers to and that is not here yet.
    pub fn next_missing(&mut self) -> Option<SchemaPath> {
        while let Some(reference) = self.references.get(self.looked_at) {
            if self.stopped {
                return None;
            }
            self.looked_at += 1;
            let Some((resource, _)) = self.resolve(reference) else {
                continue;
            };
            if self.resources.contains_key(&resource) {
                continue;
            }
            let path = resource
                .strip_prefix(STORE)
                .and_then(|path| path.parse::<SchemaPath>().ok());
            if let Some(path) = path
                && !self.absent.contains(&path)
                && !self.documents.iter().any(|(known, _)| *known == path)
            {
                return Some(path);
            }
        }
        None
    }

    /// Adds a document, or notes that there is none.
    pub fn add(&mut self, path: SchemaPath, document: Option<Arc<SchemaDocument>>) {
        let Some(document) = document else {
            self.absent.insert(path);
            return;
        };
        if self.documents.len() == SCHEMA_DOCUMENTS_MAX {
            self.stop(
                0,
                "",
                format!("it is made of more than {SCHEMA_DOCUMENTS_MAX} documents"),
            );
            return;
        }
        let index = self.documents.len();
        let base: Arc<str> = uri_of(&path).into();
        self.documents.push((path, Arc::clone(&document)));
        let first = self.nodes.len();
        self.resources.insert(base.to_string(), first);
        self.walk(
            index,
            String::new(),
            document.prepared(),
            &base,
            rules::Scope::Keys,
        );
    }

    /// Adds a schema and all schemas in it.
    fn walk(
        &mut self,
        document: usize,
        pointer: String,
        schema: &Value,
        base: &Arc<str>,
        scope: rules::Scope,
    ) -> Option<usize> {
        if self.stopped {
            return None;
        }
        if self.nodes.len() == SUBSCHEMAS_MAX {
            self.stop(
                document,
                &pointer,
                format!("there are more than {SUBSCHEMAS_MAX} subschemas"),
            );
            return None;
        }
        let index = self.nodes.len();
        let extended = schema
            .as_object()
            .is_some_and(|object| object.keys().any(|name| name.starts_with(EXTENSION_PREFIX)));
        self.nodes.push(Node {
            document,
            pointer: pointer.clone(),
            extended,
            base: Arc::clone(base),
            here: Vec::new(),
            dynamic: Vec::new(),
            named: Vec::new(),
            parts: Vec::new(),
        });
        let Some(object) = schema.as_object() else {
            return Some(index);
        };
        let base = match NAMING.iter().any(|name| object.contains_key(*name)) {
            true => self.names(index, object),
            false => Arc::clone(base),
        };
        self.limits(document, &pointer, object);
        if extended {
            for (at, what) in rules::problems(object, &pointer, scope) {
                self.wrong(document, &at, what);
            }
        }
        let again =
            object.contains_key("unevaluatedProperties") || object.contains_key("unevaluatedItems");
        let factor = if again { UNEVALUATED_FACTOR } else { 1 };
        for (name, value) in object {
            let Some((_, applies)) = keyword::keyword(name) else {
                continue;
            };
            for (rest, part, schema) in keyword::held(name, value) {
                let below = scope.below(name, applies);
                let child = self.walk(document, format!("{pointer}{rest}"), schema, &base, below);
                let (Some(child), Some(node)) = (child, self.nodes.get_mut(index)) else {
                    return None;
                };
                match applies {
                    Applies::Here => node.here.push((child, true, factor)),
                    Applies::HerePerhaps => node.here.push((child, false, factor)),
                    Applies::Named => node.named.push((part, child)),
                    Applies::Parts => node.parts.push((rest, child)),
                    Applies::Nothing => {}
                }
            }
        }
        for keyword in ["$ref", "$dynamicRef"] {
            if let Some(Value::String(target)) = object.get(keyword) {
                self.references.push(Reference {
                    from: index,
                    keyword,
                    target: target.clone(),
                });
            }
        }
        Some(index)
    }

    /// Takes in the names that a schema gives itself; gives what its references resolve against.
    fn names(&mut self, index: usize, object: &Map<String, Value>) -> Arc<str> {
        let Some(node) = self.nodes.get(index) else {
            return Arc::from("");
        };
        let (document, pointer) = (node.document, node.pointer.clone());
        let mut base = Arc::clone(&node.base);
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        if let Some(dialect) = text("$schema")
            && dialect.trim_end_matches('#') != DIALECT
        {
            let what = format!("schemas are written in {DIALECT}, not in `{dialect}`");
            self.wrong(document, &format!("{pointer}/$schema"), what);
        }
        if let Some(id) = text("$id") {
            match against(&base, id) {
                Some((resource, _)) => {
                    base = resource.as_str().into();
                    if *self.resources.entry(resource).or_insert(index) != index {
                        let what = format!("`{id}` is the name of another schema already");
                        self.wrong(document, &format!("{pointer}/$id"), what);
                    }
                }
                None => self.wrong(
                    document,
                    &format!("{pointer}/$id"),
                    "it is not a URI".to_owned(),
                ),
            }
            if let Some(node) = self.nodes.get_mut(index) {
                node.base = Arc::clone(&base);
            }
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(anchor) = text(keyword) {
                self.anchors
                    .insert((base.to_string(), anchor.to_owned()), index);
                if keyword == "$dynamicAnchor" {
                    self.dynamic
                        .entry(anchor.to_owned())
                        .or_default()
                        .push(index);
                }
            }
        }
        base
    }

    /// Checks what one schema may have.
    fn limits(&mut self, document: usize, pointer: &str, object: &Map<String, Value>) {
        if let Some(values) = object.get("enum").and_then(Value::as_array)
            && values.len() > ENUM_VALUES_MAX
        {
            let what = format!(
                "it has {} values, at most {ENUM_VALUES_MAX} are allowed",
                values.len()
            );
            self.wrong(document, &format!("{pointer}/enum"), what);
        }
        let mut patterns: Vec<(String, &str)> = Vec::new();
        if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
            patterns.push((format!("{pointer}/pattern"), pattern));
        }
        if let Some(map) = object.get("patternProperties").and_then(Value::as_object) {
            let at = |name: &String| format!("{pointer}/patternProperties/{}", keyword::step(name));
            patterns.extend(map.keys().map(|name| (at(name), name.as_str())));
        }
        for (at, pattern) in patterns {
            self.patterns += 1;
            if self.patterns > PATTERNS_MAX {
                self.stop(
                    document,
                    &at,
                    format!("there are more than {PATTERNS_MAX} patterns"),
                );
                return;
            }
            if pattern.len() > PATTERN_BYTES_MAX {
                let what = format!(
                    "the pattern has {} bytes, at most {PATTERN_BYTES_MAX} are allowed",
                    pattern.len()
                );
                self.wrong(document, &at, what);
            } else if rules::matcher(pattern).is_none() {
                let what = "the pattern is too large, or needs what is not matched in linear time (such as looking around or back)";
                self.wrong(document, &at, what.to_owned());
            }
        }
    }

    fn resolve(&self, reference: &Reference) -> Option<(String, String)> {
        let node = self.nodes.get(reference.from)?;
        against(&node.base, &reference.target)
    }

    fn wrong(&mut self, document: usize, pointer: &str, what: String) {
        if let Some((_, found)) = self.documents.get(document) {
            let found = Arc::clone(found);
            self.problem(document, found.text(), pointer, what);
        }
    }

    fn problem(&mut self, document: usize, text: &str, pointer: &str, what: String) {
        let path = self.documents.get(document).map(|(path, _)| path.clone());
        self.problems.push(SchemaProblem {
            schema: path.filter(|_| document > 0),
            problem: located(text, pointer, what),
        });
    }

    fn stop(&mut self, document: usize, pointer: &str, what: String) {
        if !self.stopped {
            self.wrong(document, pointer, what);
        }
        self.stopped = true;
    }

    /// Resolves every reference and bounds the whole.
    pub fn finish(mut self) -> Result<Checked, SchemaError> {
        // Resolving can add schemas that stand where none is expected, and so references.
        let mut at = 0;
        while at < self.references.len() && !self.stopped {
            self.follow(at);
            at += 1;
        }
        let evaluations = if self.problems.is_empty() {
            self.bound()
        } else {
            0
        };
        if !self.problems.is_empty() {
            return Err(SchemaError {
                problems: self.problems,
            });
        }
        let place = |index: usize| {
            let node = self.nodes.get(index)?;
            let (path, _) = self.documents.get(node.document)?;
            Some((path.clone(), node.pointer.clone()))
        };
        let resources = self
            .resources
            .iter()
            .filter_map(|(resource, index)| Some((resource.clone(), place(*index)?)))
            .collect();
        Ok(Checked {
            root: self.root,
            documents: self.documents,
            nodes: self.nodes,
            resources,
            evaluations,
        })
    }

    /// Makes the edge of one reference.
    fn follow(&mut self, at: usize) {
        let Some(reference) = self.references.get(at) else {
            return;
        };
        let (from, is_dynamic) = (reference.from, reference.keyword == "$dynamicRef");
        let Some((document, pointer)) = self.nodes.get(from).map(|node| {
            (
                node.document,
                format!("{}/{}", node.pointer, reference.keyword),
            )
        }) else {
            return;
        };
        let shown = reference.target.trim_start_matches(STORE).to_owned();
        let Some((resource, fragment)) = self.resolve(reference) else {
            self.wrong(document, &pointer, format!("`{shown}` is not a reference"));
            return;
        };
        if resource.starts_with(DIALECT_PREFIX) {
            return;
        }
        let Some(&start) = self.resources.get(&resource) else {
            let what = match resource.strip_prefix(STORE) {
                Some(path) => format!("there is no schema `{path}`"),
                None => format!(
                    "`{shown}` leads out of this store; refer to schemas by their path, as `/schemas/payments/base`"
                ),
            };
            self.wrong(document, &pointer, what);
            return;
        };
        let target = match fragment.as_str() {
            "" => Some(start),
            steps if steps.starts_with('/') => self.at_pointer(start, steps),
            anchor => self
                .anchors
                .get(&(resource.clone(), anchor.to_owned()))
                .copied(),
        };
        let Some(target) = target else {
            let what = format!("`{shown}` leads nowhere: there is no `{fragment}`");
            self.wrong(document, &pointer, what);
            return;
        };
        // Where the anchor that is named is no dynamic one, it is a reference like any other.
        let anchors = self
            .dynamic
            .get(&fragment)
            .filter(|anchors| is_dynamic && anchors.contains(&target));
        let anchors = anchors.cloned();
        if anchors
            .as_ref()
            .is_some_and(|anchors| anchors.len() > DYNAMIC_ANCHORS_MAX)
        {
            let what = format!(
                "more than {DYNAMIC_ANCHORS_MAX} schemas have the `$dynamicAnchor` `{fragment}`"
            );
            self.stop(document, &pointer, what);
            return;
        }
        if let Some(node) = self.nodes.get_mut(from) {
            match anchors {
                Some(anchors) => node.dynamic.push(anchors),
                None => node.here.push((target, true, 1)),
            }
        }
    }

    /// The schema at a pointer below another, which may stand where no schema is expected.
    fn at_pointer(&mut self, start: usize, steps: &str) -> Option<usize> {
        let node = self.nodes.get(start)?;
        let (document, base) = (node.document, Arc::clone(&node.base));
        let pointer = format!("{}{steps}", node.pointer);
        if let Some(known) = self.place(document, &pointer) {
            return Some(known);
        }
        let (_, found) = self.documents.get(document)?;
        let found = Arc::clone(found);
        let schema = found.prepared().pointer(&pointer)?;
        if !keyword::is_schema(schema) {
            return None;
        }
        self.walk(document, pointer, schema, &base, rules::Scope::Keys)
    }

    /// The schema at a place that was walked.
    fn place(&mut self, document: usize, pointer: &str) -> Option<usize> {
        let new = self.nodes.get(self.placed..).unwrap_or_default();
        for (index, node) in (self.placed..).zip(new) {
            let place = (node.document, node.pointer.clone());
            self.places.insert(place, index);
        }
        self.placed = self.nodes.len();
        self.places.get(&(document, pointer.to_owned())).copied()
    }

    /// How many subschemas may look at one value, at most. Refuses a schema that refers to itself
    /// without end, and one that would look at a value very many times: both could be short texts.
    fn bound(&mut self) -> u64 {
        // What a dynamic reference leads to is one and the same below any place of a document, so each
        // choice is bounded for itself, and their sum bounds what different parts may choose.
        let choices = self
            .nodes
            .iter()
            .flat_map(|node| &node.dynamic)
            .map(Vec::len)
            .max()
            .unwrap_or(1);
        let mut sum: u64 = 0;
        for choice in 0..choices {
            let edges = self.edges(choice);
            let order = match order(&edges) {
                Ok(order) => order,
                Err(node) => {
                    if let Some(node) = self.nodes.get(node) {
                        let (document, pointer) = (node.document, node.pointer.clone());
                        let what = "it refers to itself for the same value, without end".to_owned();
                        self.wrong(document, &pointer, what);
                    }
                    return 0;
                }
            };
            sum = match most_evaluations(&self.nodes, &edges, &order) {
                Some(most) => sum.saturating_add(most),
                None => u64::MAX,
            };
        }
        if sum > EVALUATIONS_MAX {
            let what = format!(
                "more than {EVALUATIONS_MAX} subschemas could look at one value; refer to fewer schemas from within one another"
            );
            self.wrong(0, "", what);
        }
        sum
    }

    /// For each subschema, those that apply to the same value and how often, when every dynamic
    /// reference leads to its target of this number.
    fn edges(&self, choice: usize) -> Vec<Vec<(usize, u64)>> {
        let of_node = |node: &Node| {
            let always = node.here.iter().map(|(child, _, factor)| (*child, *factor));
            let chosen = node.dynamic.iter().filter_map(|targets| {
                targets
                    .get(choice.checked_rem(targets.len())?)
                    .map(|target| (*target, 1))
            });
            always.chain(chosen).collect()
        };
        self.nodes.iter().map(of_node).collect()
    }
}

/// The place of each subschema in an order in which those that apply to the same value come
/// after the one that leads to them; or one that leads to itself.
fn order(edges: &[Vec<(usize, u64)>]) -> Result<Vec<usize>, usize> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; edges.len()];
    let mut finished = Vec::with_capacity(edges.len());
    for start in 0..edges.len() {
        let mut stack = vec![(start, 0)];
        while let Some((node, next)) = stack.pop() {
            let Some(now) = state.get_mut(node) else {
                continue;
            };
            if next == 0 {
                if *now == State::Done {
                    continue;
                }
                if *now == State::Open {
                    return Err(node);
                }
                *now = State::Open;
            }
            match edges.get(node).and_then(|children| children.get(next)) {
                Some((child, _)) => {
                    stack.push((node, next + 1));
                    stack.push((*child, 0));
                }
                None => {
                    if let Some(now) = state.get_mut(node) {
                        *now = State::Done;
                    }
                    finished.push(node);
                }
            }
        }
    }
    let mut order = vec![0; edges.len()];
    for (place, node) in finished.iter().rev().enumerate() {
        if let Some(at) = order.get_mut(*node) {
            *at = place;
        }
    }
    Ok(order)
}

/// Subschemas that look at one value, and how often; in the order of the places of the subschemas.
type Looking = Vec<(usize, u64)>;

/// The most evaluations of one value that any document can cause, or `None` where those are too many
/// or cannot be told within [`BOUNDING_STEPS_MAX`].
///
/// Follows every way into a document, part by part; sets of subschemas that were seen are not followed
/// again, so that a schema that refers to itself for its parts comes to an end.
fn most_evaluations(nodes: &[Node], edges: &[Vec<(usize, u64)>], order: &[usize]) -> Option<u64> {
    let mut steps = 0;
    let mut most = 0;
    let mut seen: HashSet<Looking> = HashSet::new();
    let mut waiting: VecDeque<(usize, Looking)> = VecDeque::new();
    let first = expand(edges, order, &mut vec![(0, 1)], &mut steps)?;
    waiting.push_back((0, first));
    while let Some((depth, looking)) = waiting.pop_front() {
        let total: u64 = looking.iter().map(|(_, count)| count).sum();
        most = most.max(total);
        if depth > JSON_DEPTH_MAX {
            continue;
        }
        let mut parts: Vec<(usize, u64)> = Vec::new();
        let mut named: BTreeMap<&str, Vec<(usize, u64)>> = BTreeMap::new();
        for (node, count) in &looking {
            let Some(node) = nodes.get(*node) else {
                continue;
            };
            parts.extend(node.parts.iter().map(|(_, child)| (*child, *count)));
            for (name, child) in &node.named {
                named.entry(name).or_default().push((*child, *count));
            }
        }
        let mut next: Vec<Vec<(usize, u64)>> = named
            .into_values()
            .map(|mut children| {
                children.extend(&parts);
                children
            })
            .collect();
        if !parts.is_empty() {
            next.push(parts);
        }
        for mut children in next {
            let looking = expand(edges, order, &mut children, &mut steps)?;
            if !seen.contains(&looking) {
                seen.insert(looking.clone());
                waiting.push_back((depth + 1, looking));
            }
        }
    }
    Some(most)
}

/// Adds all subschemas that look at the same value too.
fn expand(
    edges: &[Vec<(usize, u64)>],
    order: &[usize],
    start: &mut Vec<(usize, u64)>,
    steps: &mut usize,
) -> Option<Looking> {
    let mut waiting: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let add = |waiting: &mut BTreeMap<(usize, usize), u64>, node: usize, count: u64| {
        let place = order.get(node).copied().unwrap_or_default();
        let total = waiting.entry((place, node)).or_default();
        *total = total.saturating_add(count);
    };
    for (node, count) in start.drain(..) {
        *steps += 1;
        add(&mut waiting, node, count);
    }
    let mut looking = Vec::new();
    let mut total: u64 = 0;
    while let Some(((_, node), count)) = waiting.pop_first() {
        total = total.saturating_add(count);
        if total > EVALUATIONS_MAX || *steps > BOUNDING_STEPS_MAX {
            return None;
        }
        looking.push((node, count));
        for (child, factor) in edges.get(node).map_or(&[][..], Vec::as_slice) {
            *steps += 1;
            add(&mut waiting, *child, count.saturating_mul(*factor));
        }
    }
    Some(looking)
}

/// What a document names itself, where that is not its path.
pub(super) fn own_name(path: &SchemaPath, document: &SchemaDocument) -> Option<String> {
    let id = document.prepared().get("$id")?.as_str()?;
    let own = uri_of(path);
    let (name, _) = against(&own, id)?;
    (name != own).then_some(name)
}

/// A URI reference resolved: the resource, and the unescaped fragment.
fn against(base: &str, reference: &str) -> Option<(String, String)> {
    let base = uri::from_str(base).ok()?;
    let resolved = uri::resolve_against(&base.borrow(), reference).ok()?;
    let text = resolved.as_str();
    let (resource, fragment) = text.split_once('#').unwrap_or((text, ""));
    Some((resource.to_owned(), unescape(fragment)))
}

/// Takes the `%` escapes out of a fragment.
pub(super) fn unescape(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, byte) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
