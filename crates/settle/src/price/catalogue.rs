//! The embedded price table and how an entry is found in it.
//!
//! A model is looked for in its provider's entries alone: by exact name through a hash table, then by the entries' rules
//! in their order, then (Azure, Vertex) in the entries of those whose models the provider resells. The same name costs
//! nothing on one's own vLLM and something at OpenRouter, so a provider that the table does not know, and each that is
//! run by its user, finds nothing whatever the model's name.
//!
//! Without a provider the model's name must tell it: by the table's rules of which names are whose, by a prefix
//! `provider/`, or because a single provider has an entry of exactly that name.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use limpid_core::{Discount, Price, PriceSource, Usage};

use super::entry::Entry;
use super::matching::{Alternative, Pairs, with_spelled_dates};
use super::parse::{BadLine, parse};
use super::similar::similar;
use super::{Query, Unpriced, compute};

static EMBEDDED: LazyLock<Catalogue> = LazyLock::new(|| {
    // A test reads this very text; an empty catalogue prices nothing, which is the honest answer to a broken one.
    Catalogue::from_text(include_str!("../../catalogue/prices.tsv")).unwrap_or_default()
});

/// Longer names are not names.
const MAX_NAME: usize = 512;

/// What the OpenTelemetry conventions and common settings call a provider, and the table's id of it. The table's own
/// rules would take Azure's OpenAI for OpenAI.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("aws.bedrock", "aws"),
    ("aws_bedrock", "aws"),
    ("az.ai.inference", "azure"),
    ("az.ai.openai", "azure"),
    ("azure.ai.inference", "azure"),
    ("azure.ai.openai", "azure"),
    ("azure_openai", "azure"),
    ("azure-openai", "azure"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "google"),
    ("gcp.gen_ai", "google"),
    ("gcp.vertex_ai", "google"),
    ("mistral_ai", "mistral"),
    ("moonshot_ai", "moonshotai"),
    ("together_ai", "together"),
    ("x_ai", "x-ai"),
    ("xai", "x-ai"),
];

/// Words in the name of a provider that is run by its user: it has no price list.
const SELF_HOSTED: &[&str] = &[
    "compatible",
    "compat",
    "custom",
    "demo",
    "gguf",
    "llama",
    "llamacpp",
    "llamafile",
    "lmdeploy",
    "lmstudio",
    "local",
    "localai",
    "localhost",
    "mock",
    "ollama",
    "self",
    "sglang",
    "sim",
    "simulated",
    "tensorrt",
    "tgi",
    "transformers",
    "triton",
    "trtllm",
    "vllm",
    "xinference",
];

/// Names of the table, each with a place in it.
type Names = HashMap<&'static str, usize, BuildHasherDefault<NameHasher>>;

/// A multiplication for eight bytes of a name. Only the table's own names stand in a [`Names`], so nobody can choose
/// ones that collide, which is what std's hash is for, at ten times the price.
#[derive(Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut add = |word: u64| self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            add(u64::from_le_bytes(*eight));
        }
        if !rest.is_empty() {
            add(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    fn finish(&self) -> u64 {
        // The upper bits are the best mixed; a table takes the lower ones.
        self.0.rotate_left(26)
    }
}

/// A price table. Cloning is cheap; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue(Arc<Table>);

#[derive(Debug, Default)]
struct Table {
    date: &'static str,
    providers: Vec<Provider>,
    by_id: Names,
}

#[derive(Debug)]
struct Provider {
    names: Vec<Alternative>,
    models: Vec<Alternative>,
    fallbacks: Vec<usize>,
    entries: Vec<Entry>,
    /// The first entry that answers to a name that stands in some rule as a whole: nearly every name asked for.
    exact: Names,
    /// All other rules, in order of their entries.
    rules: Vec<(usize, Alternative)>,
}

/// An entry, and whether it is the asked provider's own: only then do its tiers hold.
struct Hit<'a> {
    entry: &'a Entry,
    own: bool,
}

impl Catalogue {
    /// The one in the program, generated from genai-prices; read on the first call (a few milliseconds).
    pub fn embedded() -> Catalogue {
        EMBEDDED.clone()
    }

    /// Reads a table in the embedded one's format.
    pub fn from_text(text: &'static str) -> Result<Catalogue, BadLine> {
        let (date, lines) = parse(text)?;
        let by_id: Names = lines.iter().enumerate().map(|(i, p)| (p.id, i)).collect();
        let providers = lines.into_iter().map(|line| {
            let mut provider = Provider {
                names: line.names,
                models: line.models,
                fallbacks: line.fallbacks.iter().filter_map(|id| by_id.get(id).copied()).collect(),
                entries: Vec::with_capacity(line.entries.len()),
                exact: Names::default(),
                rules: Vec::new(),
            };
            for (i, (rule, entry)) in line.entries.into_iter().enumerate() {
                provider.entries.push(entry);
                for alternative in rule {
                    match alternative.exact() {
                        Some(name) => drop(provider.exact.entry(name).or_insert(i)),
                        None => provider.rules.push((i, alternative)),
                    }
                }
            }
            let Provider { exact, rules, .. } = &mut provider;
            for (name, entry) in exact.iter_mut() {
                let pairs = Pairs::of(name);
                let mut earlier = rules.iter().take_while(|(i, _)| *i < *entry);
                *entry = earlier.find(|(_, rule)| rule.holds(name, pairs)).map_or(*entry, |(i, _)| *i);
            }
            provider
        });
        Ok(Catalogue(Arc::new(Table { date, providers: providers.collect(), by_id })))
    }

    /// The table's date, `YYYY-MM-DD`; empty for an empty table.
    pub fn table(&self) -> &'static str {
        self.0.date
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.providers.iter().map(|p| p.entries.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All entries, by provider.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.providers.iter().flat_map(|p| &p.entries)
    }

    /// The entry that prices a model of a provider.
    pub fn find(&self, provider: Option<&str>, model: &str) -> Option<&Entry> {
        self.look_up(provider, model).map(|hit| hit.entry)
    }

    /// At most `limit` entries (`provider/model`) whose model's name looks like `model`, the likest first.
    pub fn similar(&self, model: &str, limit: usize) -> Vec<&str> {
        similar(model, self.entries().map(|e| (e.model(), e.id())), limit)
    }

    /// What a usage costs at a moment. `tier` is the service tier that served it (`flex`, `priority`, `batch`, …); one
    /// that the entry has no prices for costs the standard ones.
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        usage: &Usage,
        at: SystemTime,
        tier: Option<&str>,
    ) -> Result<Price, Unpriced> {
        let query = Query { upstream: None, provider, models: [None; 2], usage, at, tier };
        self.price_of(model, &query, Discount::NONE)
    }

    /// The same for one of a query's names, less a discount.
    pub(super) fn price_of(&self, model: &str, query: &Query<'_>, discount: Discount) -> Result<Price, Unpriced> {
        let hit = self.look_up(query.provider, model).ok_or(Unpriced::UnknownModel)?;
        let prices = hit.entry.in_force(query.at, query.tier.filter(|_| hit.own));
        let parts = compute::parts(&prices, query.usage, discount)?;
        Ok(Price {
            usd: compute::total(&parts)?,
            source: PriceSource::Catalogue,
            matched: Some(Cow::Borrowed(hit.entry.id())),
            table: Some(Cow::Borrowed(self.table())),
            estimated: query.usage.has_estimate(),
            discount: Some(discount).filter(|d| *d != Discount::NONE),
            parts,
        })
    }

    fn look_up(&self, provider: Option<&str>, model: &str) -> Option<Hit<'_>> {
        if model.len() > MAX_NAME || provider.is_some_and(|p| p.len() > MAX_NAME) {
            return None;
        }
        let model = lower(model);
        match provider.map(lower) {
            Some(name) if name == "litellm" => self.look_up_behind_litellm(&model),
            Some(name) => self.find_model(self.provider(name.trim())?, &model),
            None => self.look_up_by_name(&model),
        }
    }

    /// LiteLLM puts the provider before the model; without one it is as if none were given.
    fn look_up_behind_litellm(&self, model: &str) -> Option<Hit<'_>> {
        let Some((name, rest)) = model.split_once('/') else { return self.look_up_by_name(model) };
        match self.provider(name) {
            Some(provider) => self.find_model(provider, rest),
            None if is_self_hosted(name) => None,
            None => self.look_up_by_name(model),
        }
    }

    fn look_up_by_name(&self, model: &str) -> Option<Hit<'_>> {
        let pairs = Pairs::of(model);
        let whose = self.0.providers.iter().find(|p| p.models.iter().any(|rule| rule.holds(model, pairs)));
        if let Some(hit) = whose.and_then(|p| self.find_model(p, model)) {
            return Some(hit);
        }
        let prefixed = model.split_once('/').and_then(|(id, rest)| Some((*self.0.by_id.get(id)?, rest)));
        if let Some(hit) = prefixed.and_then(|(i, rest)| self.find_model(self.0.providers.get(i)?, rest)) {
            return Some(hit);
        }
        let mut named = self.0.providers.iter().filter_map(|p| p.entries.get(*p.exact.get(model)?));
        let entry = named.next()?;
        named.next().is_none().then_some(Hit { entry, own: true })
    }

    fn provider(&self, name: &str) -> Option<&Provider> {
        let table = &*self.0;
        if let Some(i) = table.by_id.get(name) {
            return table.providers.get(*i);
        }
        if let Some((_, id)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            return table.providers.get(*table.by_id.get(id)?);
        }
        if is_self_hosted(name) {
            return None;
        }
        let pairs = Pairs::of(name);
        table.providers.iter().find(|p| p.names.iter().any(|rule| rule.holds(name, pairs)))
    }

    fn find_model<'a>(&'a self, provider: &'a Provider, model: &str) -> Option<Hit<'a>> {
        self.find_as_written(provider, model).or_else(|| self.find_as_written(provider, &with_spelled_dates(model)?))
    }

    fn find_as_written<'a>(&'a self, provider: &'a Provider, model: &str) -> Option<Hit<'a>> {
        if let Some(entry) = provider.exact.get(model) {
            return Some(Hit { entry: provider.entries.get(*entry)?, own: true });
        }
        let pairs = Pairs::of(model);
        if let Some(entry) = provider.find(model, pairs) {
            return Some(Hit { entry, own: true });
        }
        let mut resold = provider.fallbacks.iter().filter_map(|i| self.0.providers.get(*i)?.find(model, pairs));
        resold.next().map(|entry| Hit { entry, own: false })
    }
}

impl Provider {
    /// The first entry that answers to the name.
    fn find(&self, model: &str, pairs: Pairs) -> Option<&Entry> {
        let ruled = || self.rules.iter().find(|(_, rule)| rule.holds(model, pairs)).map(|(i, _)| i);
        self.entries.get(*self.exact.get(model).or_else(ruled)?)
    }
}

fn is_self_hosted(provider: &str) -> bool {
    provider.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| SELF_HOSTED.contains(&word))
}

/// In lower case, copied only where that changes something.
fn lower(name: &str) -> Cow<'_, str> {
    // All bytes are looked at, which takes less than to stop at the first.
    if name.is_ascii() && name.bytes().fold(true, |lower, b| lower & !b.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was worked out for a name beforehand is what the rules say, one after the other.
    #[test]
    fn every_name_of_a_rule_finds_the_first_entry_whose_rules_hold() {
        let text = include_str!("../../catalogue/prices.tsv");
        let (catalogue, mut names) = (Catalogue::embedded(), 0);
        for (line, provider) in parse(text).unwrap().1.into_iter().zip(&catalogue.0.providers) {
            for name in line.entries.iter().flat_map(|(rule, _)| rule).filter_map(Alternative::exact) {
                let pairs = Pairs::of(name);
                let first = line.entries.iter().find(|(rule, _)| rule.iter().any(|a| a.holds(name, pairs)));
                let found = catalogue.find_as_written(provider, name).unwrap();
                assert_eq!((found.entry.id(), found.own), (first.unwrap().1.id(), true), "{name}");
                names += 1;
            }
        }
        assert!(names > 1000, "{names}");
    }
}
