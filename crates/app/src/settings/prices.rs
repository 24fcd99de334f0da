//! `[prices.NAME]`: the operator's own prices, for what the catalogue does not know or prices otherwise.
//!
//! Amounts are read as decimal digits and kept in whole pico-dollars; no float takes part. TOML gives a bare number as
//! one, so one of more than 15 digits is refused, for those are what a float holds exactly. What an entry does not
//! price has no price: an own price is never completed with a list price. 0 is a price like any other.
//!
//! A model on GPUs of one's own costs `gpu_hour_usd / tokens_per_hour`. There is no price by the time that an exchange
//! takes: a server computes many at once, and who pays for which second is not to be seen from outside.

use std::sync::Arc;

use limpid_core::PicoUsd;

use super::faults::Origin;
use super::kinds::Kind;
use super::reader::{Checked, Reader, Refused};
use super::tree::{Item, Value};
use super::upstreams::{Upstream, good_models, good_name};

/// The most entries, and models in all of them: each priced exchange looks at all.
const MOST_ENTRIES: usize = 256;
const MOST_MODELS: usize = 1_000;

const MILLION: u64 = 1_000_000;

/// Kinds of tokens, each with the one that it is a part of.
const TOKENS: [(&str, Option<&str>); 9] = [
    ("input", None),
    ("output", None),
    ("cached_input", Some("input")),
    ("cache_write_input", Some("input")),
    ("cache_write_1h_input", Some("input")),
    ("audio_input", Some("input")),
    ("image_input", Some("input")),
    ("reasoning_output", Some("output")),
    ("audio_output", Some("output")),
];

/// What is priced one by one.
const EACH: [&str; 2] = ["request", "web_search"];

/// An entry. At least one of `models` and `upstreams` is given, and at least one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceEntry {
    /// Its name: records show it as `prices.NAME`.
    pub name: Arc<str>,
    /// Exact names, or beginnings with a trailing `*`; capitals do not matter. The reply's name counts, and the request's.
    /// Default: empty, any.
    pub models: Vec<Arc<str>>,
    /// Names of `[upstreams]`. Default: empty, any.
    pub upstreams: Vec<Arc<str>>,
    /// The service tier that served the request, such as `batch`. Default: absent, any.
    pub tier: Option<Arc<str>>,
    /// What a million of each unit costs. In the file: USD per million tokens for kinds of tokens, USD each for `request`
    /// and `web_search`, USD a minute for `audio_minute`. Default: absent, no price.
    pub prices: Vec<(&'static str, PicoUsd)>,
    /// How the prices of input and output follow from an hour's. Default: absent, they are written.
    pub gpu: Option<Gpu>,
    pub(super) at: Origin,
}

/// What an hour of all GPUs that serve the model costs, and how many tokens they handle in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gpu {
    /// `gpu_hour_usd`.
    pub hour: PicoUsd,
    /// `tokens_per_hour`, or `input_tokens_per_hour`.
    pub input_per_hour: u64,
    /// `tokens_per_hour`, or `output_tokens_per_hour`.
    pub output_per_hour: u64,
}

impl Gpu {
    /// What a million tokens cost, input and output; rounded half up to a pico-dollar. `None` above 18 million dollars.
    fn per_million(&self) -> Option<[PicoUsd; 2]> {
        let price = |tokens: u64| {
            let pico =
                (u128::from(self.hour.0) * u128::from(MILLION) + u128::from(tokens / 2)) / u128::from(tokens.max(1));
            u64::try_from(pico).ok().map(PicoUsd)
        };
        Some([price(self.input_per_hour)?, price(self.output_per_hour)?])
    }

    /// As a sentence: how input and output came about.
    pub fn show(&self) -> String {
        let [input, output] = self.per_million().unwrap_or_default();
        let Gpu { hour, input_per_hour, output_per_hour } = self;
        if input_per_hour == output_per_hour {
            return format!("{hour} USD / {input_per_hour} tokens = {input} USD per million");
        }
        format!(
            "input {hour} USD / {input_per_hour} tokens = {input} USD per million, \
             output {hour} USD / {output_per_hour} tokens = {output} USD per million"
        )
    }
}

impl PriceEntry {
    /// `None` after a fault.
    pub(super) fn read(name: &str, mut r: Reader<'_>) -> Option<PriceEntry> {
        let (at, told) = (r.origin(), r.report.faults.len());
        if !good_name(name) {
            let why = "a name has letters, digits, `-`, `_` and `.`, at most 64 of them";
            r.fault(at.clone(), format!("prices {name:?}"), why, "choose a name such as llama-70b");
        }
        let models = r.value_if("models", Vec::new(), |m: &Vec<Arc<str>>| good_models(m));
        let upstreams = r.value("upstreams", Vec::new());
        let tier = r.optional("tier", |_| Ok(()));
        let mut prices: Vec<(&'static str, PicoUsd)> = Vec::new();
        for (unit, _) in TOKENS {
            prices.extend(r.optional(unit, |_: &Usd| Ok(())).map(|Usd(usd)| (unit, usd)));
        }
        for unit in EACH {
            let each = r.optional(unit, |Usd(usd)| in_range(times(*usd, MILLION, 1)));
            prices.extend(each.and_then(|Usd(usd)| Some((unit, times(usd, MILLION, 1)?))));
        }
        // A minute has 60,000 ms; the unit is a million of them.
        let minute = r.optional("audio_minute", |Usd(usd)| in_range(times(*usd, 50, 3)));
        prices.extend(minute.and_then(|Usd(usd)| Some(("audio_ms", times(usd, 50, 3)?))));
        let gpu = gpu(name, &mut r);
        // Few of the many prices are set: the rest would hide them.
        let section = format!("prices.{name}");
        r.report.resolved.retain(|line| line.section != section || line.origin != Origin::Default);
        let mut entry = PriceEntry { name: Arc::from(name), models, upstreams, tier, prices, gpu, at };
        // After a fault what else is missing may be what was meant.
        if r.report.faults.len() == told {
            entry.add_gpu(&mut r);
            entry.check(&mut r);
        }
        let sound = r.report.faults.len() == told;
        r.finish();
        sound.then_some(entry)
    }

    fn add_gpu(&mut self, r: &mut Reader<'_>) {
        let Some(gpu) = self.gpu else { return };
        if let Some((unit, _)) = self.prices.iter().find(|(unit, _)| matches!(*unit, "input" | "output")) {
            let why = format!("gpu_hour_usd gives a price of {unit} too");
            r.fault(self.at.clone(), format!("prices.{}.{unit}", self.name), why, "take one of them out");
            return;
        }
        if let Some([input, output]) = gpu.per_million() {
            self.prices.extend([("input", input), ("output", output)]);
            r.explain("tokens", gpu.show(), self.at.clone());
        } else {
            let why = "a million tokens would cost more than 18 million USD";
            r.fault(self.at.clone(), format!("prices.{}", self.name), why, "mend gpu_hour_usd or the throughput");
        }
    }

    fn check(&self, r: &mut Reader<'_>) {
        let has = |unit: &str| self.prices.iter().any(|(known, _)| *known == unit);
        let what = format!("prices.{}", self.name);
        if self.models.is_empty() && self.upstreams.is_empty() {
            let mend = "add models = [\"llama-*\"] or upstreams = [\"vllm-a\"]";
            r.fault(self.at.clone(), what, "it names neither models nor upstreams, so it would price everything", mend);
        } else if self.prices.is_empty() && self.gpu.is_none() {
            let mend = "add input = \"0.15\" and output = \"0.60\", in USD per million tokens";
            r.fault(self.at.clone(), what, "it has no price", mend);
        } else if let Some((part, Some(whole))) =
            TOKENS.iter().find(|(part, whole)| has(part) && whole.is_some_and(|whole| !has(whole)))
        {
            let why = format!("{part} is a part of {whole}, which has no price");
            r.fault(self.at.clone(), format!("{what}.{part}"), why, format!("add {whole}, which can be 0"));
        }
    }

    /// Whether both would hold for the same exchange, neither of them more closely.
    fn is_twin_of(&self, other: &PriceEntry) -> bool {
        let shared = |a: &[Arc<str>], b: &[Arc<str>]| {
            a.is_empty() && b.is_empty() || a.iter().any(|x| b.iter().any(|y| x.eq_ignore_ascii_case(y)))
        };
        self.tier == other.tier && shared(&self.models, &other.models) && shared(&self.upstreams, &other.upstreams)
    }
}

/// The GPUs' hour and throughput, or a fault where one of them is missing.
fn gpu(name: &str, r: &mut Reader<'_>) -> Option<Gpu> {
    let told = r.report.faults.len();
    let hour = r.optional("gpu_hour_usd", |_: &Usd| Ok(())).map(|Usd(usd)| usd);
    let mut throughput = |key| r.optional(key, |n: &usize| positive(*n)).and_then(|n| u64::try_from(n).ok());
    let (all, input, output) =
        (throughput("tokens_per_hour"), throughput("input_tokens_per_hour"), throughput("output_tokens_per_hour"));
    if r.report.faults.len() > told {
        return None;
    }
    let why = match (hour, all, input, output) {
        (None, None, None, None) => return None,
        (Some(hour), Some(n), None, None) => return Some(Gpu { hour, input_per_hour: n, output_per_hour: n }),
        (Some(hour), None, Some(input_per_hour), Some(output_per_hour)) => {
            return Some(Gpu { hour, input_per_hour, output_per_hour });
        }
        (None, ..) => "a throughput without gpu_hour_usd is no price",
        (_, Some(_), ..) => "tokens_per_hour counts input and output already",
        _ => "gpu_hour_usd without a throughput is no price",
    };
    let mend = "write gpu_hour_usd with tokens_per_hour, or with input_tokens_per_hour and output_tokens_per_hour";
    r.fault(r.origin(), format!("prices.{name}.gpu_hour_usd"), why, mend);
    None
}

/// What no entry can see alone: unknown upstreams, entries that hold for the same, too many of them.
pub(super) fn check_together(entries: &[PriceEntry], upstreams: &[Upstream], r: &mut Reader<'_>) {
    for (i, entry) in entries.iter().enumerate() {
        let unknown = entry.upstreams.iter().find(|name| !upstreams.iter().any(|u| u.name == **name));
        if let Some(unknown) = unknown {
            let known: Vec<&str> = upstreams.iter().map(|u| &*u.name).collect();
            let what = format!("prices.{}.upstreams = {:?}", entry.name, &**unknown);
            r.fault(entry.at.clone(), what, "there is no such upstream", format!("name one of {}", known.join(", ")));
        }
        if let Some(twin) = entries.iter().take(i).find(|other| entry.is_twin_of(other)) {
            let what = format!("prices.{} and prices.{}", twin.name, entry.name);
            r.fault(entry.at.clone(), what, "both price the same", "make models, upstreams or tier differ");
        }
    }
    let models: usize = entries.iter().map(|e| e.models.len()).sum();
    if entries.len() > MOST_ENTRIES || models > MOST_MODELS {
        let what = format!("{} entries of [prices] with {models} models", entries.len());
        let why = format!("the most are {MOST_ENTRIES} and {MOST_MODELS}");
        r.fault(Origin::Default, what, why, "write beginnings such as \"llama-*\"");
    }
}

/// `usd × up ÷ down`, rounded half up.
fn times(usd: PicoUsd, up: u64, down: u64) -> Option<PicoUsd> {
    let pico = (u128::from(usd.0) * u128::from(up) + u128::from(down / 2)) / u128::from(down);
    u64::try_from(pico).ok().map(PicoUsd)
}

fn in_range(price: Option<PicoUsd>) -> Checked {
    price.map(|_| ()).ok_or_else(|| Refused::new("that is too much", "write USD for one of them, such as \"0.01\""))
}

fn positive(n: usize) -> Checked {
    if n > 0 { Ok(()) } else { Err(Refused::new("no tokens at all have no price", "write how many in an hour")) }
}

/// An amount in USD, read without a float's error.
struct Usd(PicoUsd);

impl Kind for Usd {
    const WRITE: &'static str = "write an amount in USD such as \"0.15\"";

    fn read(item: &Item) -> Result<Usd, String> {
        let amount = decimal(item)?;
        PicoUsd::parse(&amount).map(Usd).ok_or_else(|| "that is not an amount from 0 to 18 million".to_owned())
    }

    fn show(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

/// The decimal digits of a number or a text, as they were written.
pub(super) fn decimal(item: &Item) -> Result<String, String> {
    match (item.text(), &item.value) {
        (Some(text), _) => Ok(text.trim().to_owned()),
        (None, Value::Integer(n)) => Ok(n.to_string()),
        (None, Value::Float(x)) => {
            let digits = x.to_string();
            let significant = digits.trim_start_matches(['0', '.', '-']).bytes().filter(u8::is_ascii_digit).count();
            let exact = x.is_finite() && significant <= 15;
            exact.then_some(digits).ok_or_else(|| "only 15 digits of a bare number are exact".to_owned())
        }
        (None, other) => Err(format!("{} is not a number", other.name())),
    }
}
