//! The kinds of API calls that limpid tells apart.

macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in the order of the public interface.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name in records, labels and settings.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The value of that name.
            pub fn from_name(name: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|v| v.as_str() == name)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let name = std::borrow::Cow::<'de, str>::deserialize(d)?;
                $name::from_name(&name).ok_or_else(|| {
                    let names: Vec<_> = $name::ALL.iter().map(|v| v.as_str()).collect();
                    serde::de::Error::custom(format!("unknown name `{name}`, expected one of {}", names.join(", ")))
                })
            }
        }
    };
}
pub(crate) use named_enum;

named_enum! {
    /// What kind of API a request calls, told from its path.
    Endpoint {
        /// OpenAI `/chat/completions`.
        Chat = "chat",
        /// OpenAI `/completions`.
        Completions = "completions",
        /// OpenAI `/responses`.
        Responses = "responses",
        /// Anthropic `/messages`.
        Messages = "messages",
        /// `/embeddings`.
        Embeddings = "embeddings",
        /// The native generation of Ollama (`/api/chat`, `/api/generate`), TGI (`/generate`, `/generate_stream`) and SGLang
        /// (`/generate`).
        Generate = "generate",
        /// `/rerank`, `/score`.
        Rerank = "rerank",
        /// `/moderations`.
        Moderations = "moderations",
        /// `/audio/*`.
        Audio = "audio",
        /// `/images/*`.
        Images = "images",
        /// `/files`, `/uploads`.
        Files = "files",
        /// `/batches`.
        Batches = "batches",
        /// `/models`.
        Models = "models",
        /// `/tokenize`, `/detokenize`, `/messages/count_tokens`.
        Tokenize = "tokenize",
        /// `/realtime`.
        Realtime = "realtime",
        /// Gemini's `models/{model}:generateContent` and `:streamGenerateContent`.
        GenerateContent = "generate_content",
        /// Any other path.
        Other = "other",
    }
}

impl Endpoint {
    /// How many kinds there are.
    pub const COUNT: usize = Self::ALL.len();

    /// A dense index below [`Endpoint::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether a call of this kind makes a model work, and so gets a GenAI inference span.
    pub const fn is_inference(self) -> bool {
        !matches!(self, Endpoint::Files | Endpoint::Batches | Endpoint::Models | Endpoint::Tokenize | Endpoint::Other)
    }

    /// Whether exchanges of this kind generate text: their replies end with a finish, and have content that is read.
    pub const fn generates_text(self) -> bool {
        matches!(
            self,
            Endpoint::Chat
                | Endpoint::Completions
                | Endpoint::Responses
                | Endpoint::Messages
                | Endpoint::Generate
                | Endpoint::GenerateContent
        )
    }

    /// Whether a streamed reply of this kind is read for tokens; the events of others are only counted.
    pub const fn streams_tokens(self) -> bool {
        self.generates_text() || matches!(self, Endpoint::Audio)
    }

    /// `gen_ai.operation.name` (semantic conventions v1.41): `chat`, `text_completion`, `embeddings`,
    /// `generate_content`; for what the conventions do not name, limpid's own name.
    pub const fn operation(self) -> &'static str {
        match self {
            Endpoint::Chat | Endpoint::Responses | Endpoint::Messages | Endpoint::Generate => "chat",
            Endpoint::Completions => "text_completion",
            other => other.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_dense_and_names_round_trip() {
        for (i, e) in Endpoint::ALL.iter().enumerate() {
            assert_eq!(e.index(), i);
            assert_eq!(Endpoint::from_name(e.as_str()), Some(*e));
        }
    }
}
