//! The table by examples, and beside its own definition.

use proptest::prelude::*;

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

#[test]
fn a_choice_for_want_of_a_model_is_told_from_others() {
    let path = |m: Match, path: &str| Match { path_prefix: Some(path.into()), ..m };
    let models =
        |names: &[&str]| Match { models: names.iter().map(|n| ModelPattern::parse(n)).collect(), ..Match::default() };
    let t = RouteTable::new(vec![
        Match::default(),
        models(&["gpt-*"]),
        path(Match::default(), "/own"),
        path(models(&["x"]), "/x"),
    ]);
    let of = |path: &str, model| {
        let routed = t.route(s("h", path, model));
        (routed.index, routed.fell_back)
    };
    assert_eq!(of("/v1", Some("gpt-4o")), (Some(1), false));
    assert_eq!(of("/v1", Some("GPT-4o")), (Some(0), true));
    assert_eq!(of("/v1", None), (Some(0), true));
    // Whoever asks by path has no need of a model.
    assert_eq!((of("/own/v1", None), t.needs_model(s("h", "/own/v1", None))), ((Some(2), false), false));
    assert_eq!((of("/own/v1", Some("gpt-4o")), of("/x/v1", Some("x"))), ((Some(2), false), (Some(3), false)));
    assert_eq!(of("/x/v1", Some("gpt-4o")), (Some(1), false));
    assert_eq!(of("/x/v1", None), (Some(0), true));
    assert_eq!(t.first(s("h", "/x/v1", None)), Some(3));
    let only = RouteTable::new(vec![models(&["b", "a*"]), models(&["c"])]);
    assert_eq!(
        (only.route(s("h", "/", None)), only.first(s("h", "/", None))),
        (Routed { index: None, fell_back: true }, Some(0))
    );
}

/// The definition, upstream by upstream.
fn by_definition(matches: &[Match], subject: Subject<'_>) -> Option<usize> {
    let weights = matches.iter().enumerate().filter_map(|(index, m)| {
        let (host, path) = head_weight(m, subject)?;
        let of_model = |p: &ModelPattern| match p {
            ModelPattern::Exact(name) => (subject.model == Some(name)).then_some(usize::MAX),
            ModelPattern::Prefix(prefix) => subject.model?.starts_with(prefix.as_str()).then_some(prefix.len() + 1),
        };
        let model = if m.models.is_empty() { 0 } else { m.models.iter().filter_map(of_model).max()? };
        Some(((host, path, model), index))
    });
    weights.max_by(|(a, i), (b, j)| a.cmp(b).then(j.cmp(i))).map(|(_, index)| index)
}

fn head_weight(m: &Match, subject: Subject<'_>) -> Option<(bool, usize)> {
    let host = match (&m.host, subject.host) {
        (None, _) => false,
        (Some(want), Some(got)) if want.eq_ignore_ascii_case(without_port(got)) => true,
        _ => return None,
    };
    let path = match &m.path_prefix {
        None => 0,
        Some(prefix) => {
            let rest = subject.path.strip_prefix(prefix.trim_end_matches('/'))?;
            (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len() + 1)?
        }
    };
    Some((host, path))
}

fn some_match() -> impl Strategy<Value = Match> {
    let host = prop_oneof![Just(None), prop_oneof!["[ab]", Just("A.b".to_owned())].prop_map(Some)];
    let prefix = prop_oneof![Just(None), "/?([ab]/{0,2}){0,3}/{0,2}".prop_map(Some)];
    let models = prop::collection::vec("[xy]{0,3}\\*?", 0..3);
    (host, prefix, models).prop_map(|(host, path_prefix, models)| Match {
        host,
        path_prefix,
        models: models.iter().map(|text| ModelPattern::parse(text)).collect(),
    })
}

proptest! {
    #[test]
    fn the_table_is_its_definition(
        matches in prop::collection::vec(some_match(), 0..12),
        host in prop_oneof![Just(None), "[abAB](\\.b)?(:80)?".prop_map(Some)],
        path in "(\\*|/?([ab]/{0,2}){0,4}|/é/a)",
        model in prop_oneof![Just(None), "[xy]{0,4}é?".prop_map(Some)],
    ) {
        let subject = Subject { host: host.as_deref(), path: &path, model: model.as_deref() };
        let table = RouteTable::new(matches.clone());
        prop_assert_eq!(table.choose(subject), by_definition(&matches, subject));
        // Who need not look for the model would not choose another upstream for any, and falls back to none.
        if !table.needs_model(subject) {
            for other in [None, Some("x"), Some("xy"), Some("yyx"), Some("")] {
                prop_assert_eq!(table.choose(Subject { model: other, ..subject }), table.choose(subject));
            }
            prop_assert!(!table.route(subject).fell_back);
        }
        let first = table.first(subject);
        prop_assert_eq!(first.is_some(), matches.iter().any(|m| head_weight(m, subject).is_some()));
        prop_assert!(first.is_none_or(|at| head_weight(&matches[at], subject).is_some()));
    }
}
