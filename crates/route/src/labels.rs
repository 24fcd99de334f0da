//! The operator's own labels: where their values are read.
//!
//! A rule names a request field, a member of the request's `metadata`, or a response field (which replica served it).
//! What is there becomes an [`OwnLabel`] and is short and plain from then on; what is not there is no label. Fields that
//! carry credentials are refused when the settings are read: a key must not become a label by a slip of the pen.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderName};
use limpid_core::OwnLabel;

/// Where a label's value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelSource {
    /// `header:NAME`, a field of the request; the first of that name.
    Header(HeaderName),
    /// `metadata:NAME`, a member of the object `metadata` in the request's JSON.
    Metadata(Box<str>),
    /// `response_header:NAME`, a field of the upstream's response.
    ResponseHeader(HeaderName),
}

/// Why a source is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSource {
    /// It does not begin with one of the three words.
    Kind,
    /// Behind the colon is no name of a field, or of a member of at most 64 bytes.
    Name,
    /// What stands there is a credential, by its name.
    Credential,
}

/// `header:x-user-segment`, as in the settings.
impl fmt::Display for LabelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelSource::Header(name) => write!(f, "header:{name}"),
            LabelSource::Metadata(name) => write!(f, "metadata:{name}"),
            LabelSource::ResponseHeader(name) => write!(f, "response_header:{name}"),
        }
    }
}

impl std::str::FromStr for LabelSource {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<LabelSource, BadSource> {
        const LONGEST: usize = 64;
        let (kind, name) = text.split_once(':').ok_or(BadSource::Kind)?;
        let field = || HeaderName::try_from(name).map_err(|_| BadSource::Name);
        let source = match kind {
            "header" => LabelSource::Header(field()?),
            "response_header" => LabelSource::ResponseHeader(field()?),
            "metadata" if (1..=LONGEST).contains(&name.len()) => LabelSource::Metadata(name.into()),
            "metadata" => return Err(BadSource::Name),
            _ => return Err(BadSource::Kind),
        };
        if is_credential(name) { Err(BadSource::Credential) } else { Ok(source) }
    }
}

/// Whether a field or member of that name holds a secret, going by its words. Rather one too many than one too few.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let ends =
            ["key", "keys", "token", "secret", "password", "passwd", "cookie", "cookie2", "credential", "credentials"];
        let plain = ["auth", "jwt", "bearer", "pwd", "session", "sessionid", "signature"];
        let begins = ["authoriz", "authentic"];
        ends.iter().any(|end| word.ends_with(end))
            || plain.contains(&word)
            || begins.iter().any(|b| word.starts_with(b))
    })
}

/// All labels that are configured, at most [`OwnLabel::MOST`].
#[derive(Debug, Clone, Default)]
pub struct LabelRules(Vec<(Arc<str>, LabelSource)>);

impl LabelRules {
    /// The rules; those beyond the most are left out.
    pub fn new(rules: impl IntoIterator<Item = (Arc<str>, LabelSource)>) -> LabelRules {
        LabelRules(rules.into_iter().take(OwnLabel::MOST).collect())
    }

    /// The labels that the request's head tells.
    pub fn of_request(&self, fields: &HeaderMap) -> Vec<OwnLabel> {
        self.of(fields, |source| match source {
            LabelSource::Header(name) => Some(name),
            _ => None,
        })
    }

    /// The labels that the response's head tells.
    pub fn of_response(&self, fields: &HeaderMap) -> Vec<OwnLabel> {
        self.of(fields, |source| match source {
            LabelSource::ResponseHeader(name) => Some(name),
            _ => None,
        })
    }

    /// The members of `metadata` that are wanted, each with its label's name.
    pub fn metadata(&self) -> impl Iterator<Item = (Box<str>, Arc<str>)> {
        self.0.iter().filter_map(|(name, source)| match source {
            LabelSource::Metadata(member) => Some((member.clone(), Arc::clone(name))),
            _ => None,
        })
    }

    fn of(&self, fields: &HeaderMap, field: impl Fn(&LabelSource) -> Option<&HeaderName>) -> Vec<OwnLabel> {
        let told = self.0.iter().filter_map(|(name, source)| {
            let value = fields.get(field(source)?)?;
            OwnLabel::new(name, std::str::from_utf8(value.as_bytes()).ok()?)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_credentials_refused() {
        for good in [
            "header:x-user-segment",
            "header:x-author",
            "metadata:Template Id",
            "response_header:x-served-by",
            "header:x-ratelimit-remaining-tokens",
            "header:x-limpid-user",
        ] {
            assert_eq!(good.parse::<LabelSource>().map(|s| s.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "header:Authorization",
            "header:proxy-authorization",
            "header:cookie",
            "response_header:set-cookie",
            "header:x-api-key",
            "header:API-Key",
            "header:apikey",
            "header:x-goog-api-key",
            "header:ocp-apim-subscription-key",
            "header:x-amz-security-token",
            "header:x-csrftoken",
            "header:x-auth",
            "header:x-forwarded-authentication",
            "metadata:user_password",
            "metadata:session_id",
        ] {
            assert_eq!(bad.parse::<LabelSource>(), Err(BadSource::Credential), "{bad}");
        }
        for (bad, why) in [
            ("x-user", BadSource::Kind),
            ("body:x", BadSource::Kind),
            ("header:", BadSource::Name),
            ("header:a b", BadSource::Name),
            ("metadata:", BadSource::Name),
        ] {
            assert_eq!(bad.parse::<LabelSource>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn values_come_from_where_the_rule_says() {
        let rule = |name: &str, from: &str| (Arc::from(name), from.parse().unwrap());
        let rules = LabelRules::new([
            rule("a", "header:x-a"),
            rule("m", "metadata:template"),
            rule("r", "response_header:x-a"),
            rule("z", "header:x-z"),
            rule("fifth", "header:x-a"),
        ]);
        let mut fields = HeaderMap::new();
        fields.append("x-a", "one".parse().unwrap());
        fields.append("x-a", "two".parse().unwrap());
        fields.insert("x-z", http::HeaderValue::from_bytes(b"\xff").unwrap());
        let shown =
            |labels: Vec<OwnLabel>| labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect::<Vec<_>>();
        assert_eq!(shown(rules.of_request(&fields)), ["a=one"]);
        assert_eq!(shown(rules.of_response(&fields)), ["r=one"]);
        assert_eq!(rules.metadata().collect::<Vec<_>>(), [("template".into(), "m".into())]);
        assert_eq!(shown(LabelRules::default().of_request(&fields)), [""; 0]);
    }
}
