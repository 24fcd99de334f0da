//! Events and bodies as the servers send them. A list holds one event with a few tokens, of which some are escaped.

/// What the official client for Python sends, a little shortened; 336 bytes.
pub(crate) const REQUEST_HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:4800\r\n\
    Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nAccept: application/json\r\n\
    Content-Type: application/json\r\nUser-Agent: OpenAI/Python 2.8.0\r\nX-Stainless-Lang: python\r\n\
    X-Stainless-OS: Linux\r\nAuthorization: Bearer sk-0123456789abcdef0123456789abcdef\r\nContent-Length: 214\r\n\r\n";

/// What vLLM answers a stream with.
pub(crate) const RESPONSE_HEAD: &str = "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n\
    content-type: text/event-stream; charset=utf-8\r\nx-request-id: 8cbea992112edfab8cbea992112edfab\r\n\
    transfer-encoding: chunked\r\n\r\n";

const TOKENS: [&str; 8] = [" the", " bear", "\\n\\n", " is", ".", " caf\\u00e9", " “quoted”", " \\\"x\\\""];

fn each(render: impl Fn(usize, &str) -> String) -> Vec<String> {
    TOKENS.iter().enumerate().map(|(at, token)| render(at, token)).collect()
}

fn chat_event(index: usize, token: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-8cbea992112edfab\",\"object\":\"chat.completion.chunk\",\"created\":1795336069,\
         \"model\":\"smollm2-135m\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{token}\"}},\"logprobs\":null,\
         \"finish_reason\":null,\"token_ids\":null}}]}}\n\n"
    )
}

/// vLLM.
pub(crate) fn chat() -> Vec<String> {
    each(|_, token| chat_event(0, token))
}

/// Two choices in turn, so that no event is like the one before.
pub(crate) fn chat_two_choices() -> Vec<String> {
    each(|at, token| chat_event(at % 2, token))
}

/// vLLM.
pub(crate) fn completions() -> Vec<String> {
    each(|_, token| {
        format!(
            "data: {{\"id\":\"cmpl-8cbea992112edfab\",\"object\":\"text_completion\",\"created\":1795336069,\
             \"model\":\"smollm2-135m\",\"choices\":[{{\"index\":0,\"text\":\"{token}\",\"logprobs\":null,\
             \"finish_reason\":null}}]}}\n\n"
        )
    })
}

/// OpenAI: a running number and a filler beside the token.
pub(crate) fn responses() -> Vec<String> {
    each(|at, token| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{},\
             \"item_id\":\"msg_0a1b2c3d4e5f60718293\",\"output_index\":0,\"content_index\":0,\"delta\":\"{token}\",\
             \"logprobs\":[],\"obfuscation\":\"{}\"}}\n\n",
            100 + at,
            "aB3dE5fG7h".get(at..).unwrap_or_default()
        )
    })
}

/// Anthropic.
pub(crate) fn messages() -> Vec<String> {
    each(|_, token| {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
             {{\"type\":\"text_delta\",\"text\":\"{token}\"}}}}\n\n"
        )
    })
}

/// Ollama's `/api/chat`.
pub(crate) fn ollama() -> Vec<String> {
    each(|at, token| {
        format!(
            "{{\"model\":\"llama3.2\",\"created_at\":\"2026-11-22T08:00:00.12345678{at}Z\",\"message\":\
             {{\"role\":\"assistant\",\"content\":\"{token}\"}},\"done\":false}}\n"
        )
    })
}

/// Gemini: counts in every event.
pub(crate) fn gemini() -> Vec<String> {
    each(|at, token| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{token}\"}}],\"role\":\"model\"}},\"index\":0}}],\
             \"usageMetadata\":{{\"promptTokenCount\":4,\"candidatesTokenCount\":{at},\"totalTokenCount\":{},\
             \"promptTokensDetails\":[{{\"modality\":\"TEXT\",\"tokenCount\":4}}]}},\"modelVersion\":\"gemini-2.5-flash\",\
             \"responseId\":\"r0a1b2c3d\"}}\r\n\r\n",
            at + 4
        )
    })
}

/// A request of 2 KiB, its messages before the rest.
pub(crate) fn request() -> String {
    let text = "You are a helpful assistant. ".repeat(68);
    format!(
        "{{\"model\":\"gpt-4o-mini\",\"messages\":[{{\"role\":\"system\",\"content\":\"{text}\"}},{{\"role\":\"user\",\
         \"content\":\"Hello\"}}],\"temperature\":0.7,\"max_tokens\":256,\"stream\":true,\"stream_options\":\
         {{\"include_usage\":true}}}}"
    )
}

/// A short request that is not streamed, as in the relay's benchmark.
pub(crate) fn short_request() -> String {
    "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}],\"max_tokens\":16}"
        .to_owned()
}

/// Its reply, as OpenAI sends it.
pub(crate) fn short_reply() -> String {
    "{\"id\":\"chatcmpl-8cbea992112edfab\",\"object\":\"chat.completion\",\"created\":1795336069,\"model\":\
     \"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello! How can I \
     help you today?\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":\
     {\"prompt_tokens\":10,\"completion_tokens\":9,\"total_tokens\":19,\"prompt_tokens_details\":{\"cached_tokens\":0,\
     \"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},\"service_tier\":\
     \"default\",\"system_fingerprint\":\"fp_560af6e559\"}"
    .to_owned()
}
