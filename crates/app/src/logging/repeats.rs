//! What repeats: of one message about one upstream so many lines are written in a while, and then one that says how many more
//! there were.
//!
//! One layer for all events, so that no place that logs has to think of it: an upstream that is gone would else write a line
//! for each request. Lines of `debug` and `trace` were asked for and are not held back, nor are those of limpid's start,
//! end and signals (the room `app`), which no traffic causes.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// So many lines of a kind in [`A_WHILE`].
const BURST: u32 = 10;
const A_WHILE: Duration = Duration::from_secs(10);
/// How many kinds are told apart; beyond that, upstreams are not.
const KINDS: usize = 512;

/// A place in the source, and the upstream that it speaks of.
type Kind = (Identifier, Option<String>);

struct Seen {
    since: Instant,
    lines: u32,
    held_back: u64,
    level: Level,
    message: String,
}

/// What was logged lately.
#[derive(Default)]
pub(super) struct Repeats {
    kinds: Mutex<HashMap<Kind, Seen>>,
}

impl Repeats {
    pub(super) fn new() -> Arc<Repeats> {
        Arc::default()
    }

    /// What holds back.
    pub(super) fn layer(self: &Arc<Repeats>) -> HoldBack {
        HoldBack(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Seen>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is to be written.
    fn admits(&self, event: &Event<'_>, now: Instant) -> bool {
        let about = event.metadata();
        if *about.level() > Level::INFO || about.target().starts_with("limpid_app") {
            return true;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut kinds = self.lock();
        let upstream = fields.upstream.filter(|_| kinds.len() < KINDS);
        let seen = kinds.entry((about.callsite(), upstream)).or_insert_with(|| {
            let (level, message) = (*about.level(), fields.message);
            Seen { since: now, lines: 0, held_back: 0, level, message }
        });
        let admitted = seen.lines < BURST;
        if admitted {
            seen.lines += 1;
        } else {
            seen.held_back += 1;
        }
        admitted
    }

    /// Logs how many were held back, of all whose time is up by `now`, or of all.
    pub(super) fn tell(&self, now: Option<Instant>) {
        let up = |seen: &Seen| now.is_none_or(|now| now.saturating_duration_since(seen.since) >= A_WHILE);
        let over: Vec<_> = self.lock().extract_if(|_, seen| up(seen)).collect();
        for ((_, upstream), Seen { held_back, level, message: like, .. }) in over {
            match level {
                _ if held_back == 0 => {}
                Level::ERROR => tracing::error!(more = held_back, like, upstream, "more like this"),
                Level::WARN => tracing::warn!(more = held_back, like, upstream, "more like this"),
                _ => tracing::info!(more = held_back, like, upstream, "more like this"),
            }
        }
    }
}

/// The layer.
pub(super) struct HoldBack(Arc<Repeats>);

impl<S: Subscriber> Layer<S> for HoldBack {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.admits(event, Instant::now())
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    upstream: Option<String>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "upstream" {
            self.upstream = Some(value.to_owned());
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "upstream" => self.upstream = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// As the relay logs it.
    fn fails(upstream: &str) {
        tracing::warn!(target: "limpid_proxy::connect", upstream, error = "refused", "connect failed");
    }

    #[test]
    fn of_what_repeats_so_many_lines_are_written_and_then_how_many_more() {
        let (repeats, written) = (Repeats::new(), Written::default());
        let to = written.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || to.clone());
        let subscriber = tracing_subscriber::registry().with(repeats.layer()).with(lines);
        let text = || String::from_utf8(std::mem::take(&mut *written.0.lock().unwrap())).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            (0..500).for_each(|_| fails("a"));
            (0..3).for_each(|_| fails("b"));
            (0..20).for_each(|n| tracing::info!(target: "limpid_app::serve", n, "of the start"));
            (0..20).for_each(|n| tracing::debug!(target: "limpid_proxy", n, "asked for"));
            let all = text();
            let count = |what: &str| all.lines().filter(|line| line.contains(what)).count();
            assert_eq!((count("upstream=\"a\""), count("upstream=\"b\"")), (10, 3), "{all}");
            assert_eq!((count("of the start"), count("asked for")), (20, 20));
            repeats.tell(Some(Instant::now()));
            assert_eq!(text(), "", "not yet");
            repeats.tell(Some(Instant::now() + A_WHILE));
            let told = text();
            assert!(told.contains("WARN") && told.contains(r#"more=490 like="connect failed" upstream="a""#), "{told}");
            assert_eq!(told.lines().count(), 1);
            fails("a");
            assert!(text().contains("connect failed"), "anew");
        });
    }

    #[test]
    fn the_kinds_are_bounded() {
        let repeats = Repeats::new();
        let subscriber = tracing_subscriber::registry().with(repeats.layer());
        tracing::subscriber::with_default(subscriber, || (0..5_000).for_each(|n| fails(&n.to_string())));
        assert!(repeats.lock().len() <= KINDS + 1);
    }
}
