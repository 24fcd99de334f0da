//! Choosing the upstream: the most specific match wins, whatever the order of the settings.

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

    /// How specific the match of `model` is; `None` if it does not match.
    fn weight(&self, model: &str) -> Option<usize> {
        match self {
            ModelPattern::Exact(name) => (name == model).then_some(usize::MAX),
            ModelPattern::Prefix(prefix) => model.starts_with(prefix.as_str()).then_some(prefix.len() + 1),
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

/// All upstreams' matches; an upstream is named by its index.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    matches: Vec<Match>,
}

impl RouteTable {
    /// A table of the upstreams' matches, in their order.
    pub fn new(matches: Vec<Match>) -> RouteTable {
        RouteTable { matches }
    }

    /// The upstream for a request: a matching host beats a path, a longer path prefix a shorter one, a model's exact
    /// name its prefix, and any of them no demand at all. `None` if nothing matches.
    pub fn choose(&self, subject: Subject<'_>) -> Option<usize> {
        self.matches
            .iter()
            .enumerate()
            .filter_map(|(index, m)| {
                let (host, path) = m.head_weight(subject)?;
                Some(((host, path, m.model_weight(subject.model)?), index))
            })
            .max_by(|(a, i), (b, j)| a.cmp(b).then(j.cmp(i)))
            .map(|(_, index)| index)
    }

    /// Whether the choice for this host and path may depend on the model, so that the body must be looked at first.
    pub fn needs_model(&self, subject: Subject<'_>) -> bool {
        self.matches.iter().any(|m| !m.models.is_empty() && m.head_weight(subject).is_some())
    }

    /// The path prefix that the upstream at `index` matched by.
    pub fn path_prefix(&self, index: usize) -> Option<&str> {
        self.matches.get(index)?.path_prefix.as_deref()
    }
}

impl Match {
    fn head_weight(&self, subject: Subject<'_>) -> Option<(bool, usize)> {
        let host = match (&self.host, subject.host) {
            (None, _) => false,
            (Some(want), Some(got)) if want.eq_ignore_ascii_case(without_port(got)) => true,
            _ => return None,
        };
        let path = match &self.path_prefix {
            None => 0,
            Some(prefix) => {
                let rest = subject.path.strip_prefix(prefix.trim_end_matches('/'))?;
                (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len() + 1)?
            }
        };
        Some((host, path))
    }

    fn model_weight(&self, model: Option<&str>) -> Option<usize> {
        if self.models.is_empty() {
            return Some(0);
        }
        let model = model?;
        self.models.iter().filter_map(|p| p.weight(model)).max()
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn m(host: Option<&str>, prefix: Option<&str>, models: &[&str]) -> Match {
        Match {
            host: host.map(str::to_owned),
            path_prefix: prefix.map(str::to_owned),
            models: models.iter().map(|p| ModelPattern::parse(p)).collect(),
        }
    }

    fn s<'a>(host: &'a str, path: &'a str, model: Option<&'a str>) -> Subject<'a> {
        Subject { host: Some(host), path, model }
    }

    #[test]
    fn the_most_specific_wins() {
        let t = RouteTable::new(vec![
            m(None, None, &[]),
            m(None, Some("/openai"), &[]),
            m(None, Some("/openai/eu"), &[]),
            m(Some("llm.example"), None, &[]),
            m(None, None, &["gpt-*"]),
            m(None, None, &["gpt-4o"]),
        ]);
        assert_eq!(t.choose(s("x", "/v1/models", None)), Some(0));
        assert_eq!(t.choose(s("x", "/openai2/v1", None)), Some(0));
        assert_eq!(t.choose(s("x", "/openai/v1", None)), Some(1));
        assert_eq!(t.choose(s("x", "/openai/eu/v1", None)), Some(2));
        assert_eq!(t.choose(s("LLM.example:4800", "/openai/v1", None)), Some(3));
        assert_eq!(t.choose(s("x", "/v1", Some("gpt-5"))), Some(4));
        assert_eq!(t.choose(s("x", "/v1", Some("gpt-4o"))), Some(5));
        assert_eq!(t.choose(s("x", "/openai/v1", Some("gpt-4o"))), Some(1));
    }

    #[test]
    fn nothing_matches_and_models_are_asked_for_only_where_they_matter() {
        let t = RouteTable::new(vec![m(None, Some("/a"), &["m"]), m(None, Some("/b"), &[])]);
        assert_eq!(t.choose(s("x", "/c", None)), None);
        assert_eq!(t.choose(s("x", "/a", None)), None);
        assert!(t.needs_model(s("x", "/a/v1", None)));
        assert!(!t.needs_model(s("x", "/b/v1", None)));
    }

    #[test]
    fn equal_matches_take_the_first() {
        let t = RouteTable::new(vec![m(None, None, &[]), m(None, None, &[])]);
        assert_eq!(t.choose(s("x", "/", None)), Some(0));
    }

    #[test]
    fn ipv6_hosts_lose_their_port_only() {
        assert_eq!(without_port("[::1]:80"), "[::1]");
        assert_eq!(without_port("::1"), "::1");
    }
}
