//! The scan of a client's bytes for heads. Its file is included: the crate it belongs to keeps it to itself.

#[path = "../../../crates/proxy/src/wire.rs"]
mod wire;

use std::hint::black_box;

use wire::Heads;

/// As the `openai` package for Python sends it.
const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost:8080\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n\
    User-Agent: OpenAI/Python 3.3.1\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: 3.3.1\r\n\
    X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n\
    X-Stainless-Runtime-Version: 3.12.4\r\nAuthorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n\
    X-Stainless-Async: false\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\nContent-Length: 100\r\n\r\n";

/// A head and a body of 100 bytes.
pub(crate) fn stage() -> crate::Stage {
    let (mut heads, message) = (Heads::default(), format!("{HEAD}{}", " ".repeat(100)));
    Box::new(move || {
        heads.feed(black_box(message.as_bytes()));
        black_box(heads.ended());
    })
}
