//! What a client's credentials are called: in fields, in the query, in WebSocket's subprotocols.
//!
//! Rather one too many than one too few: this is asked only where the upstream has a key of its own, and then nothing of the
//! client's is wanted. Fields are told by their words, so that those of gateways to come are among them; parameters of a query
//! by a list, for there a word says less (`pageToken`).

use http::header::HeaderValue;
use http::uri::PathAndQuery;
use limpid_core::RelayFailure;
use limpid_route::decoded;

/// Words that name a credential wherever they stand in a name, also as the end of a longer word.
const WORDS: &[&str] = &[
    "apikey",
    "accesskey",
    "auth",
    "authentication",
    "authorization",
    "bearer",
    "cookie",
    "cookie2",
    "credential",
    "credentials",
    "jwt",
    "passwd",
    "password",
    "pwd",
    "secret",
    "token",
];

/// What has none of these words: a proof that is one, a certificate, a gateway's settings that may have keys in them.
const FIELDS: &[&str] = &["dpop", "x-forwarded-client-cert", "x-portkey-config"];

/// Before `key` these make no credential.
const NO_CREDENTIAL: &[&str] =
    &["idempotency", "cache", "partition", "routing", "sort", "surrogate", "correlation", "deduplication", "dedup"];

/// Parameters, in lower case and without `-`, `_`, `.` and blanks.
const PARAMETERS: &[&str] = &[
    "key",
    "code",
    "sig",
    "signature",
    "token",
    "auth",
    "authtoken",
    "authorization",
    "proxyauthorization",
    "bearer",
    "bearertoken",
    "jwt",
    "idtoken",
    "oauthtoken",
    "refreshtoken",
    "sessiontoken",
    "securitytoken",
    "xamzsecuritytoken",
    "xamzsignature",
    "xamzcredential",
    "xgoogsignature",
    "xgoogcredential",
    "accesskey",
    "accesskeyid",
    "awsaccesskeyid",
    "authkey",
    "masterkey",
    "virtualkey",
    "functionskey",
    "xfunctionskey",
    "secret",
    "secretkey",
    "password",
    "passwd",
    "pwd",
    "credential",
    "credentials",
    "cookie",
];

/// Ends of such parameters.
const PARAMETERS_END: &[&str] = &["apikey", "accesstoken", "authtoken", "subscriptionkey", "clientsecret"];

/// Whether a field of this name, in lower case, carries a credential.
pub(super) fn is_field(name: &str) -> bool {
    // A browser's own, and a WebSocket's handshake.
    if name.starts_with("sec-") {
        return false;
    }
    if FIELDS.contains(&name) {
        return true;
    }
    let mut before = "";
    let mut key = false;
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        if is_word(word) {
            return true;
        }
        key = word.ends_with("key") && !NO_CREDENTIAL.contains(&before);
        before = word;
    }
    key
}

fn is_word(word: &str) -> bool {
    WORDS.iter().any(|w| word == *w || (w.len() > 4 && word.ends_with(w)))
}

/// The path without the parameters of its query that carry a credential. All others stay as they are.
///
/// # Errors
///
/// [`RelayFailure::Internal`], where what is left of a path is none, which cannot be.
pub(super) fn without_keys(path: PathAndQuery) -> Result<PathAndQuery, RelayFailure> {
    let Some(query) = path.query() else { return Ok(path) };
    // Some servers part at `;` too.
    if !query.split(['&', ';']).any(is_parameter) {
        return Ok(path);
    }
    let mut left = String::with_capacity(path.as_str().len());
    left.push_str(path.path());
    let mut mark = '?';
    for part in query.split_inclusive(['&', ';']) {
        let plain = part.trim_end_matches(['&', ';']);
        if !is_parameter(plain) {
            left.push(mark);
            left.push_str(plain);
            mark = if part.ends_with(';') { ';' } else { '&' };
        }
    }
    PathAndQuery::try_from(left).map_err(|_| RelayFailure::Internal)
}

/// Whether `name=value` of a query carries a credential.
fn is_parameter(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default();
    let letters = decoded(name.as_bytes()).take_while(|b| *b != b'[' && *b != b'=');
    let letters: Vec<u8> = letters.filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase()).collect();
    let is = |known: &&str| letters == known.as_bytes();
    PARAMETERS.iter().any(is) || PARAMETERS_END.iter().any(|end| letters.ends_with(end.as_bytes()))
}

/// A list of subprotocols without those that carry a credential; `None` where none is left.
pub(super) fn without_secrets(list: &HeaderValue) -> Option<HeaderValue> {
    let mut left: Vec<&[u8]> = Vec::new();
    let mut follows = false;
    for item in list.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii) {
        let lower = String::from_utf8_lossy(item).to_ascii_lowercase();
        let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
        let named = words.clone().any(|word| is_word(word) || word.ends_with("key"));
        let alone = item.starts_with(b"sk-") || item.starts_with(b"eyJ");
        if std::mem::take(&mut follows) || item.is_empty() {
            continue;
        }
        if named || alone {
            // The word by itself: what it is for comes next.
            follows = named && (is_field(&lower) || words.next_back().is_some_and(is_word)) && !lower.contains('.');
        } else {
            left.push(item);
        }
    }
    if left.is_empty() { None } else { HeaderValue::from_bytes(&left.join(&b", "[..])).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for name in "authorization proxy-authorization x-api-key api-key apikey api_key x-goog-api-key \
            x-litellm-api-key ocp-apim-subscription-key cookie cookie2 x-portkey-api-key \
            x-portkey-config x-portkey-virtual-key x-portkey-aws-secret-access-key helicone-auth \
            openai-api-key x-auth-token x-access-token x-functions-key x-amz-security-token \
            cf-aig-authorization xi-api-key x-rapidapi-key x-forwarded-access-token \
            x-ms-authorization-auxiliary x-csrftoken x-goog-iam-authorization-token private-token \
            x-vault-token x-jwt-assertion x-mykey dpop x-forwarded-client-cert x-auth-request-email"
            .split(' ')
        {
            assert!(is_field(name), "{name}");
        }
        for name in "accept host idempotency-key x-idempotency-key sec-websocket-key sec-websocket-protocol \
            x-prompt-cache-key openai-organization openai-project anthropic-version anthropic-beta \
            x-goog-user-project x-goog-api-client x-portkey-trace-id x-portkey-metadata x-request-id \
            x-stainless-os content-type x-max-tokens traceparent x-author x-keys user-agent"
            .split(' ')
        {
            assert!(!is_field(name), "{name}");
        }
    }

    #[test]
    fn queries() {
        for (asked, want) in [
            ("/x?key=k", "/x"),
            ("/x?KEY=k&alt=sse", "/x?alt=sse"),
            ("/x?alt=sse&key=k&b=%20c", "/x?alt=sse&b=%20c"),
            ("/x?a=1&api_key=k", "/x?a=1"),
            ("/x?api-key=k&api-version=1", "/x?api-version=1"),
            ("/x?Api%4Bey=k", "/x"),
            ("/x?%6b%65%79=k", "/x"),
            ("/x?%256bey=k", "/x"),
            ("/x?access_token=k", "/x"),
            ("/x?Subscription-Key=k&q", "/x?q"),
            ("/x?code=k", "/x"),
            ("/x?a=1;key=k;b=2", "/x?a=1;b=2"),
            ("/x?key[]=k", "/x"),
            ("/x?+key=k", "/x"),
            ("/x?key", "/x"),
            ("/x?x-litellm-api-key=k", "/x"),
            ("/x?X-Amz-Signature=k&X-Amz-Date=d", "/x?X-Amz-Date=d"),
            // These stay, byte for byte.
            ("/x?pageToken=t&pageSize=3", "/x?pageToken=t&pageSize=3"),
            ("/x?q=key&&c", "/x?q=key&&c"),
            ("/x?model=key", "/x?model=key"),
            ("/x?", "/x?"),
            ("/x", "/x"),
        ] {
            assert_eq!(without_keys(asked.parse().unwrap()).unwrap().as_str(), want, "{asked}");
        }
    }

    #[test]
    fn subprotocols() {
        for (list, want) in [
            ("realtime, openai-insecure-api-key.k", Some("realtime")),
            ("realtime,OpenAI-Insecure-API-Key.k,openai-beta.realtime-v1", Some("realtime, openai-beta.realtime-v1")),
            ("base64url.bearer.authorization.k8s.io.k, v4.channel.k8s.io", Some("v4.channel.k8s.io")),
            ("token, k", None),
            ("bearer, k, realtime", Some("realtime")),
            ("sk-proj-k, realtime", Some("realtime")),
            ("eyJhbGci.k.s, a", Some("a")),
            ("openai-organization.o, realtime", Some("openai-organization.o, realtime")),
            ("graphql-transport-ws", Some("graphql-transport-ws")),
        ] {
            let got = without_secrets(&HeaderValue::from_static(list));
            assert_eq!(got.as_ref().map(|v| v.to_str().unwrap()), want, "{list}");
        }
    }
}
