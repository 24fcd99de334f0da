//! Choosing the upstream: the most specific match wins, whatever the order of the settings.

use std::collections::BTreeMap;

/// What a request must have to be served by an upstream. What is `None` or empty matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Match {
    /// The request's host, without port; compared without regard to case.
    pub host: Option<String>,
    /// The path begins with it, on a segment boundary: `/openai` matches `/openai` and `/openai/v1`, not `/openai2`.
    pub path_prefix: Option<String>,
    /// The request's `model` is one of these.
    pub models: Vec<ModelPattern>,
}

/// A model's name, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelPattern {
    /// The whole name.
    Exact(String),
    /// What stands before a trailing `*`.
    Prefix(String),
}

impl ModelPattern {
    /// `gpt-4o` or `gpt-*`.
    pub fn parse(text: &str) -> ModelPattern {
        match text.strip_suffix('*') {
            Some(prefix) => ModelPattern::Prefix(prefix.to_owned()),
            None => ModelPattern::Exact(text.to_owned()),
        }
    }
}

/// What a route is chosen by.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The `Host` field or the URI's authority, with or without port.
    pub host: Option<&'a str>,
    /// The path, without query.
    pub path: &'a str,
    /// The request's model, if it is known.
    pub model: Option<&'a str>,
}

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// The upstream; `None` if nothing matches.
    pub index: Option<usize>,
    /// Upstreams that host and path allow ask for models, and none of them for this one.
    pub fell_back: bool,
}

/// All upstreams' matches; an upstream is named by its index.
///
/// A choice takes a few searches in sorted maps, however many upstreams there are: one for each beginning of the path that ends
/// at a segment's end and is no longer than the longest prefix, and then one for the model's name.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    /// Upstreams that ask for a host, by its name in small letters.
    hosts: BTreeMap<Box<str>, Paths>,
    /// Upstreams that do not.
    any_host: Paths,
    /// Each upstream's path prefix, by its index.
    prefixes: Vec<Option<String>>,
}

/// Upstreams by their path prefix, without slashes at its end; "" where there is none.
#[derive(Debug, Clone, Default)]
struct Paths {
    groups: BTreeMap<Box<str>, Vec<Group>>,
    longest: usize,
}

/// Upstreams that differ in their models alone.
#[derive(Debug, Clone, Default)]
struct Group {
    /// The length of the prefix as it is written, and 1; 0 without one.
    weight: usize,
    /// The first that takes all models.
    any_model: Option<usize>,
    exact: BTreeMap<Box<str>, usize>,
    beginnings: BTreeMap<Box<str>, usize>,
    /// The different lengths of the beginnings, the longest first.
    lengths: Vec<usize>,
}

/// How specific a match is: by host, path and model. Compared in this order.
type Weight = (bool, usize, usize);

impl RouteTable {
    /// A table of the upstreams' matches, in their order.
    pub fn new(matches: Vec<Match>) -> RouteTable {
        let mut table = RouteTable::default();
        for (index, m) in matches.into_iter().enumerate() {
            let paths = match &m.host {
                Some(host) => table.hosts.entry(host.to_ascii_lowercase().into()).or_default(),
                None => &mut table.any_host,
            };
            paths.group(m.path_prefix.as_deref()).add(&m.models, index);
            table.prefixes.push(m.path_prefix);
        }
        table
    }

    /// The upstream for a request: a matching host beats a path, a longer path prefix a shorter one, a model's exact
    /// name its prefix, and any of them no demand at all; of equal ones the first. `None` if nothing matches.
    pub fn choose(&self, subject: Subject<'_>) -> Option<usize> {
        self.route(subject).index
    }

    /// The same, and whether the choice is one for want of a model that an upstream asks for.
    pub fn route(&self, subject: Subject<'_>) -> Routed {
        let mut best: Option<(Weight, usize)> = None;
        for (by_host, group) in self.matching(subject) {
            let Some((model, index)) = group.choose(subject.model) else { continue };
            let weight = (by_host, group.weight, model);
            if best.is_none_or(|(heaviest, first)| weight > heaviest || (weight == heaviest && index < first)) {
                best = Some((weight, index));
            }
        }
        let by_model = best.is_some_and(|((.., model), _)| model > 0);
        let chosen = best.map(|((by_host, path, _), _)| (by_host, path));
        let asked = |(by_host, group): (bool, &Group)| {
            group.asks_for_model() && chosen.is_none_or(|chosen| (by_host, group.weight) >= chosen)
        };
        Routed { index: best.map(|(_, index)| index), fell_back: !by_model && self.matching(subject).any(asked) }
    }

    /// Whether the choice for this host and path depends on the model, so that it must be looked for first: an upstream asks
    /// for models, and none that takes all of them goes before it by host or path.
    pub fn needs_model(&self, subject: Subject<'_>) -> bool {
        let mut asks = None;
        let mut takes_all = None;
        for (by_host, group) in self.matching(subject) {
            let weight = Some((by_host, group.weight));
            if group.asks_for_model() {
                asks = asks.max(weight);
            }
            if group.any_model.is_some() {
                takes_all = takes_all.max(weight);
            }
        }
        asks.is_some() && asks >= takes_all
    }

    /// The first upstream that host and path allow, whatever models it asks for.
    pub fn first(&self, subject: Subject<'_>) -> Option<usize> {
        let best = self.matching(subject).max_by_key(|(by_host, group)| (*by_host, group.weight));
        best.and_then(|(_, group)| {
            let asking = group.exact.values().chain(group.beginnings.values()).copied();
            asking.chain(group.any_model).min()
        })
    }

    /// The path prefix that the upstream at `index` matched by.
    pub fn path_prefix(&self, index: usize) -> Option<&str> {
        self.prefixes.get(index)?.as_deref()
    }

    /// The groups that host and path allow, and whether they ask for the host.
    fn matching<'a>(&'a self, subject: Subject<'a>) -> impl Iterator<Item = (bool, &'a Group)> {
        let named = subject.host.filter(|_| !self.hosts.is_empty()).and_then(|host| {
            let host = without_port(host);
            // The keys are in small letters already; a host that is too is not written anew.
            if host.bytes().any(|b| b.is_ascii_uppercase()) {
                self.hosts.get(host.to_ascii_lowercase().as_str())
            } else {
                self.hosts.get(host)
            }
        });
        let by_host = named.into_iter().flat_map(move |paths| paths.matching(subject.path)).map(|group| (true, group));
        by_host.chain(self.any_host.matching(subject.path).map(|group| (false, group)))
    }
}

impl Paths {
    /// The place of upstreams with this prefix.
    fn group(&mut self, prefix: Option<&str>) -> &mut Group {
        let weight = prefix.map_or(0, |prefix| prefix.len() + 1);
        let trimmed = prefix.unwrap_or_default().trim_end_matches('/');
        self.longest = self.longest.max(trimmed.len());
        let groups = self.groups.entry(trimmed.into()).or_default();
        let at = groups.iter().position(|group| group.weight == weight).unwrap_or_else(|| {
            groups.push(Group { weight, ..Group::default() });
            groups.len() - 1
        });
        &mut groups[at]
    }

    fn matching<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Group> {
        let end = path.len().min(self.longest);
        let boundary = move |&at: &usize| at == path.len() || path.as_bytes()[at] == b'/';
        // A path that begins with no slash has no boundary at 0, but who asks for no prefix serves it too.
        let bare = (!path.starts_with('/') && !path.is_empty()).then(|| self.groups.get("")).flatten();
        let unasked = bare.into_iter().flatten().filter(|group| group.weight == 0);
        let at_boundaries = (0..=end).filter(boundary).filter_map(move |at| self.groups.get(path.get(..at)?));
        at_boundaries.flatten().chain(unasked)
    }
}

impl Group {
    fn add(&mut self, models: &[ModelPattern], index: usize) {
        if models.is_empty() {
            self.any_model.get_or_insert(index);
        }
        for model in models {
            match model {
                ModelPattern::Exact(name) => {
                    self.exact.entry(name.as_str().into()).or_insert(index);
                }
                ModelPattern::Prefix(beginning) => {
                    self.beginnings.entry(beginning.as_str().into()).or_insert(index);
                    if let Err(at) = self.lengths.binary_search_by(|length| beginning.len().cmp(length)) {
                        self.lengths.insert(at, beginning.len());
                    }
                }
            }
        }
    }

    fn asks_for_model(&self) -> bool {
        !self.exact.is_empty() || !self.beginnings.is_empty()
    }

    /// The upstream that asks for this model most specifically, and how specifically.
    fn choose(&self, model: Option<&str>) -> Option<(usize, usize)> {
        let by_name = model.and_then(|model| {
            let exact = self.exact.get(model).map(|index| (usize::MAX, *index));
            exact.or_else(|| {
                self.lengths.iter().find_map(|&length| {
                    let index = self.beginnings.get(model.get(..length)?)?;
                    Some((length + 1, *index))
                })
            })
        });
        by_name.or_else(|| self.any_model.map(|index| (0, index)))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
