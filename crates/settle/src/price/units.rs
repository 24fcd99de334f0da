//! The units that are billed, and which of them is a part of which.
//!
//! A unit is a set of dimensions, as in genai-prices' registry: cached audio input is input, cached and audio. A unit
//! with more dimensions is a part of each unit with some of them, so `input` holds every other kind of input. This is
//! what lets one rule take any number of special prices out of a total (see `compute`).

use limpid_core::Usage;

const INPUT: u8 = 1;
const OUTPUT: u8 = 2;
const AUDIO: u8 = 1;
const IMAGE: u8 = 2;
const VIDEO: u8 = 3;
const CACHE_READ: u8 = 1;
const CACHE_WRITE: u8 = 2;
const REASONING: u8 = 3;
const CITATION: u8 = 4;
const ONE_HOUR: u8 = 1;

/// Direction, modality, token type, cache lifetime; 0 where the unit does not say.
type Dimensions = [u8; 4];

macro_rules! units {
    ($($variant:ident = $name:literal, $dimensions:expr;)+) => {
        /// A billed unit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Unit { $($variant),+ }

        impl Unit {
            pub(crate) const ALL: &'static [Unit] = &[$(Unit::$variant),+];

            /// The name in the catalogue and of the price's part.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Unit::$variant => $name),+ }
            }

            /// How many there are.
            pub(crate) const COUNT: usize = Unit::ALL.len();

            const fn dimensions(self) -> Dimensions {
                match self { $(Unit::$variant => $dimensions),+ }
            }
        }
    };
}

units! {
    Input = "input", [INPUT, 0, 0, 0];
    CachedInput = "cached_input", [INPUT, 0, CACHE_READ, 0];
    CacheWriteInput = "cache_write_input", [INPUT, 0, CACHE_WRITE, 0];
    CacheWrite1hInput = "cache_write_1h_input", [INPUT, 0, CACHE_WRITE, ONE_HOUR];
    AudioInput = "audio_input", [INPUT, AUDIO, 0, 0];
    CachedAudioInput = "cached_audio_input", [INPUT, AUDIO, CACHE_READ, 0];
    ImageInput = "image_input", [INPUT, IMAGE, 0, 0];
    CachedImageInput = "cached_image_input", [INPUT, IMAGE, CACHE_READ, 0];
    VideoInput = "video_input", [INPUT, VIDEO, 0, 0];
    Output = "output", [OUTPUT, 0, 0, 0];
    ReasoningOutput = "reasoning_output", [OUTPUT, 0, REASONING, 0];
    CitationOutput = "citation_output", [OUTPUT, 0, CITATION, 0];
    AudioOutput = "audio_output", [OUTPUT, AUDIO, 0, 0];
    ImageOutput = "image_output", [OUTPUT, IMAGE, 0, 0];
    VideoOutput = "video_output", [OUTPUT, VIDEO, 0, 0];
    AudioMs = "audio_ms", [0, 0, 0, 0];
    WebSearch = "web_search", [0, 0, 0, 0];
    Request = "request", [0, 0, 0, 0];
}

impl Unit {
    pub(crate) fn from_name(name: &str) -> Option<Unit> {
        Unit::ALL.iter().copied().find(|u| u.name() == name)
    }

    /// It alone, as a set.
    pub(crate) const fn alone(self) -> Units {
        Units(1 << self as u32)
    }

    /// Its proper parts.
    pub(crate) const fn parts(self) -> Units {
        PARTS[self as usize]
    }

    /// Whether it is a kind of token. The others are neither whole nor part of any unit.
    pub(crate) const fn is_token(self) -> bool {
        let [direction, ..] = self.dimensions();
        direction != 0
    }

    /// How many dimensions it names.
    pub(crate) fn specificity(self) -> usize {
        self.dimensions().iter().filter(|d| **d != 0).count()
    }

    /// Whether `self` is a proper part of `whole`.
    pub(crate) const fn is_part_of(self, whole: Unit) -> bool {
        let (mine, theirs) = (self.dimensions(), whole.dimensions());
        let (mut agree, mut at) = (true, 0);
        while at < theirs.len() {
            agree &= theirs[at] == 0 || mine[at] == theirs[at];
            at += 1;
        }
        self as u8 != whole as u8 && whole.is_token() && agree
    }

    /// Whether `self` is exactly what two units that overlap have in common: cached audio, of cached and of audio.
    pub(crate) fn is_overlap_of(self, a: Unit, b: Unit) -> bool {
        self != a && self != b && self.is_part_of(a) && self.is_part_of(b) && {
            let mut both = a.dimensions();
            for (mine, theirs) in both.iter_mut().zip(b.dimensions()) {
                *mine = (*mine).max(theirs);
            }
            both == self.dimensions()
        }
    }

    /// How many of it the usage tells. `None` where the usage does not say, or has no member for it.
    pub(crate) fn count(self, usage: &Usage) -> Option<u64> {
        match self {
            Unit::Input => usage.input_tokens,
            Unit::CachedInput => usage.cached_input_tokens,
            Unit::CacheWriteInput => usage.cache_write_input_tokens,
            Unit::CacheWrite1hInput => usage.cache_write_1h_input_tokens,
            Unit::AudioInput => usage.audio_input_tokens,
            Unit::ImageInput => usage.image_input_tokens,
            Unit::Output => usage.output_tokens,
            Unit::ReasoningOutput => usage.reasoning_output_tokens,
            Unit::AudioOutput => usage.audio_output_tokens,
            Unit::CachedAudioInput
            | Unit::CachedImageInput
            | Unit::VideoInput
            | Unit::CitationOutput
            | Unit::ImageOutput
            | Unit::VideoOutput => None,
            Unit::AudioMs => usage.audio_ms,
            Unit::WebSearch => usage.web_searches,
            Unit::Request => Some(1),
        }
    }
}

/// Each unit's proper parts, worked out by the compiler: a bill asks for them again and again.
const PARTS: [Units; Unit::COUNT] = {
    let mut parts = [Units::NONE; Unit::COUNT];
    let mut whole = 0;
    while whole < Unit::COUNT {
        let mut part = 0;
        while part < Unit::COUNT {
            if Unit::ALL[part].is_part_of(Unit::ALL[whole]) {
                parts[whole] = parts[whole].with(Unit::ALL[part]);
            }
            part += 1;
        }
        whole += 1;
    }
    parts
};

/// Some units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Units(u32);

impl Units {
    pub(crate) const NONE: Units = Units(0);

    /// All that are kinds of tokens.
    pub(crate) const TOKENS: Units = {
        let (mut all, mut at) = (Units::NONE, 0);
        while at < Unit::COUNT {
            if Unit::ALL[at].is_token() {
                all = all.with(Unit::ALL[at]);
            }
            at += 1;
        }
        all
    };

    pub(crate) const fn with(self, unit: Unit) -> Units {
        Units(self.0 | unit.alone().0)
    }

    pub(crate) const fn and(self, other: Units) -> Units {
        Units(self.0 & other.0)
    }

    pub(crate) const fn without(self, other: Units) -> Units {
        Units(self.0 & !other.0)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn has(self, unit: Unit) -> bool {
        !self.and(unit.alone()).is_empty()
    }

    /// One by one, in the order of [`Unit::ALL`].
    pub(crate) fn each(self) -> impl Iterator<Item = Unit> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let unit = Unit::ALL.get(left.trailing_zeros() as usize).copied();
            left &= left.wrapping_sub(1);
            unit
        })
    }
}

impl FromIterator<Unit> for Units {
    fn from_iter<I: IntoIterator<Item = Unit>>(units: I) -> Units {
        units.into_iter().fold(Units::NONE, Units::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for unit in Unit::ALL {
            assert_eq!(Unit::from_name(unit.name()), Some(*unit));
        }
    }

    #[test]
    fn parts_follow_from_the_dimensions() {
        for (part, whole, holds) in [
            (Unit::CacheWrite1hInput, Unit::CacheWriteInput, true),
            (Unit::CacheWrite1hInput, Unit::Input, true),
            (Unit::CacheWriteInput, Unit::CacheWrite1hInput, false),
            (Unit::CachedAudioInput, Unit::AudioInput, true),
            (Unit::ReasoningOutput, Unit::Input, false),
            (Unit::Input, Unit::Input, false),
            (Unit::Input, Unit::Request, false),
            (Unit::Request, Unit::Input, false),
        ] {
            assert_eq!(part.is_part_of(whole), holds, "{part:?} of {whole:?}");
        }
        assert!(Unit::CachedAudioInput.is_overlap_of(Unit::CachedInput, Unit::AudioInput));
        assert!(!Unit::CachedImageInput.is_overlap_of(Unit::CachedInput, Unit::AudioInput));
        assert!(!Unit::CacheWrite1hInput.is_overlap_of(Unit::CacheWriteInput, Unit::Input));
    }
}
