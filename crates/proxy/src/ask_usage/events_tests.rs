//! An asked stream, edited, is the unasked one: in the shapes that servers have, cut anywhere.

use bytes::Bytes;

use super::UsageRemover;

const LIMIT: usize = 4096;

/// What the client gets of these reads.
fn edited<'r>(limit: usize, reads: impl IntoIterator<Item = &'r [u8]>) -> Vec<u8> {
    let mut remover = UsageRemover::new(limit);
    let mut out = Vec::new();
    for read in reads {
        out.extend_from_slice(&remover.feed(Bytes::copy_from_slice(read)));
    }
    out.extend_from_slice(&remover.finish());
    assert!(remover.is_empty());
    out
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Cut in two everywhere, in three in many places, in pieces of each size up to 40, and in one piece.
fn at_every_split(asked: &[u8], unasked: &[u8]) {
    assert_eq!(text(&edited(LIMIT, [asked])), text(unasked), "in one piece");
    for cut in 1..asked.len() {
        let (a, b) = asked.split_at(cut);
        assert_eq!(text(&edited(LIMIT, [a, b])), text(unasked), "cut at {cut}");
        let (b, c) = b.split_at((b.len() / 3).min(cut % 7));
        assert_eq!(text(&edited(LIMIT, [a, b, c])), text(unasked), "cut at {cut} and behind");
    }
    for size in 1..40 {
        assert_eq!(text(&edited(LIMIT, asked.chunks(size))), text(unasked), "pieces of {size}");
    }
}

/// In each kind of line end, with a byte order mark too.
fn everywhere(asked: &str, unasked: &str) {
    for end in ["\n", "\r\n", "\r"] {
        at_every_split(asked.replace('\n', end).as_bytes(), unasked.replace('\n', end).as_bytes());
    }
    at_every_split(format!("\u{feff}{asked}").as_bytes(), format!("\u{feff}{unasked}").as_bytes());
}

#[test]
fn openai() {
    let head = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":null,"choices":["#;
    let role =
        r#"{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]"#;
    let token = r#"{"index":1,"delta":{"content":"say \"usage\":null ✓"},"logprobs":null,"finish_reason":null}]"#;
    let stop = r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]"#;
    let usage = r#"],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0}},"obfuscation":"8618"}"#;
    let asked = format!(
        "{head}{role},\"usage\":null,\"obfuscation\":\"aB\"}}\n\n: ping\n\n{head}{token},\"usage\":null,\"obfuscation\":\"\"}}\n\n\
         {head}{stop},\"usage\":null,\"obfuscation\":\"x\"}}\n\n{head}{usage}\n\ndata: [DONE]\n\n"
    );
    let unasked = format!(
        "{head}{role},\"obfuscation\":\"aB\"}}\n\n: ping\n\n{head}{token},\"obfuscation\":\"\"}}\n\n\
         {head}{stop},\"obfuscation\":\"x\"}}\n\ndata: [DONE]\n\n"
    );
    everywhere(&asked, &unasked);
}

#[test]
fn azure_tells_filters_without_choices() {
    let filters = r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]"#;
    let token = r#"data: {"choices":[{"content_filter_results":{},"delta":{"content":"a"},"finish_reason":null,"index":0}],"id":"c""#;
    let usage = r#"data: {"choices":[],"id":"c","model":"m","usage":{"completion_tokens":1,"prompt_tokens":2}}"#;
    everywhere(
        &format!("{filters},\"usage\":null}}\n\n{token},\"usage\":null}}\n\n{usage}\n\ndata: [DONE]\n\n"),
        &format!("{filters}}}\n\n{token}}}\n\ndata: [DONE]\n\n"),
    );
}

#[test]
fn blanks_as_python_and_pretty_printers_write_them() {
    everywhere(
        "event: message\nid: 1\ndata: {\"usage\": null, \"choices\": [{\"delta\": {}}]}\n\ndata:{\"choices\": [{}], \"usage\": null }\n\n\
         id: 2\ndata:  {\"choices\": [ ], \"usage\": {\"prompt_tokens\": 1}} \nretry: 5\n\ndata:[DONE]\n\n",
        "event: message\nid: 1\ndata: {\"choices\": [{\"delta\": {}}]}\n\ndata:{\"choices\": [{}] }\n\ndata:[DONE]\n\n",
    );
    // The JSON stands in several lines: what goes whole goes, what would have to be cut stays.
    let kept = "data: {\ndata:  \"usage\": null, \"choices\": [{}]\ndata: }\n\n";
    everywhere(&format!("{kept}data: {{\ndata: \"choices\":[],\ndata: \"usage\":{{}}}}\n\n"), kept);
}

#[test]
fn sglang_wrote_null_unasked() {
    let token = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}"#;
    let usage = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    everywhere(
        &format!("{token}\n\n{token}\n\n{usage}\n\ndata: [DONE]\n\n"),
        &format!("{token}\n\n{token}\n\ndata: [DONE]\n\n"),
    );
}

#[test]
fn what_comes_unasked_stays() {
    for unasked in [
        // llama.cpp's completions and transformers tell it beside the last choice, OpenRouter and vLLM by request in each.
        "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}],\"usage\":{\"completion_tokens\":1},\"id\":\"c\"}\n\ndata: [DONE]\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"completion_tokens\":1}}\n\n",
        // Groq.
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":1}}}\n\n",
        // Not what was asked for, or nothing that can be read.
        "data: {\"choices\":[],\"usage\":{},\"usage\":{}}\n\ndata: {\"choices\":[{}],\"usage\":null,\"usage\":null}\n\n",
        "data: {\"choices\":[],\"usage\":1}\n\ndata: {\"usage\":{}}\n\ndata: {\"choices\":null,\"usage\":{}}\n\n",
        "data: {\"choices\":[{}],\"us\\u0061ge\":null}\n\ndata: \"usage\"\n\ndata: {\"choices\":[],\"usage\":{}\n\n",
        "data: {\"error\":{\"message\":\"\\\"usage\\\": null\",\"code\":500}}\n\ndata: [DONE]\n\n",
        "\n\n\n: only a comment\n:\n\nevent: ping\n\ndata\n\n",
        "{\"choices\":[],\"usage\":{}}\n\nno event stream",
        "",
    ] {
        everywhere(unasked, unasked);
    }
}

#[test]
fn an_end_without_a_blank_line_is_an_end() {
    everywhere("data: {\"a\":1}\n\ndata: {\"choices\":[],\"usage\":{}}\n", "data: {\"a\":1}\n\n");
    everywhere("data: {\"a\":1}\n\ndata: {\"choices\":[],\"usage\":{}}", "data: {\"a\":1}\n\n");
    everywhere("data: {\"choices\":[{}],\"usage\":null}", "data: {\"choices\":[{}]}");
    everywhere("data: {\"choices\":[],\"usage\":{\"pro", "data: {\"choices\":[],\"usage\":{\"pro");
}

const LLAMA_TOKEN: &str = r#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":"a"}}],"system_fingerprint":"b0","object":"chat.completion.chunk"}"#;
const LLAMA_FINISH: &str = r#"data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"system_fingerprint":"b0","object":"chat.completion.chunk""#;

#[test]
fn llama_cpp_gets_its_timings_back_in_the_finish_event() {
    let timings = r#","timings":{"prompt_n":37,"predicted_ms":87.947}"#;
    let usage = r#"data: {"choices":[],"system_fingerprint":"b0","object":"chat.completion.chunk","usage":{"completion_tokens":24}"#;
    let begin = format!("{LLAMA_TOKEN}\n\n:\n\n{LLAMA_FINISH}}}\n\n");
    let asked = format!("{begin}{usage}{timings}}}\n\ndata: [DONE]\n\n");
    let unasked = format!("{LLAMA_TOKEN}\n\n:\n\n{LLAMA_FINISH}{timings}}}\n\ndata: [DONE]\n\n");
    let without = format!("{LLAMA_TOKEN}\n\n:\n\n{LLAMA_FINISH}}}\n\ndata: [DONE]\n\n");
    // llama.cpp writes the two at once. Where they come apart nonetheless, the finish event does not wait.
    for cut in 0..asked.len() {
        let (a, b) = asked.as_bytes().split_at(cut);
        let apart = (begin.len()..begin.len() + usage.len() + timings.len() + 3).contains(&cut);
        assert_eq!(text(&edited(LIMIT, [a, b])), text(if apart { &without } else { &unasked }.as_bytes()), "{cut}");
    }
}

#[test]
fn vllm_gets_its_fingerprint_back_and_keeps_its_metrics_to_itself() {
    let finish = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"."},"finish_reason":"length","stop_reason":null}]"#;
    let usage = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1},"system_fingerprint":"vllm-0.32.0","metrics":{"queue_time_ms":0.1}}"#;
    let asked = format!("{finish}}}\n\n{usage}\n\ndata: [DONE]\n\n");
    let unasked = format!("{finish},\"system_fingerprint\":\"vllm-0.32.0\"}}\n\ndata: [DONE]\n\n");
    assert_eq!(text(&edited(LIMIT, [asked.as_bytes()])), text(unasked.as_bytes()));
    // To no event that is not the finish.
    let token = finish.replace("\"length\"", "null");
    let asked = format!("{token}}}\n\n{usage}\n\n");
    assert_eq!(text(&edited(LIMIT, [asked.as_bytes()])), text(format!("{token}}}\n\n").as_bytes()));
}

#[test]
fn both_edits_meet_in_one_event() {
    let asked = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{},\"timings\":{}}\n\n";
    let unasked = "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"timings\":{}}\n\n";
    assert_eq!(text(&edited(LIMIT, [asked.as_bytes()])), text(unasked.as_bytes()));
}

#[test]
fn what_is_whole_and_unchanged_passes_by_reference() {
    let events = Bytes::from(format!("{LLAMA_TOKEN}\n\n{LLAMA_TOKEN}\n\n"));
    let mut remover = UsageRemover::new(LIMIT);
    let out = remover.feed(events.clone());
    assert_eq!((out.as_ptr(), out.len()), (events.as_ptr(), events.len()));
    let usage = Bytes::from(format!("{LLAMA_TOKEN}\n\ndata: {{\"choices\":[],\"usage\":{{}}}}\n\n"));
    let out = remover.feed(usage.clone());
    assert_eq!((out.as_ptr(), out.len()), (usage.as_ptr(), LLAMA_TOKEN.len() + 2));
}

#[test]
fn an_event_waits_for_its_own_end_only() {
    let mut remover = UsageRemover::new(LIMIT);
    let mut feed =
        |read: &str| String::from_utf8(remover.feed(Bytes::copy_from_slice(read.as_bytes())).to_vec()).unwrap();
    assert_eq!(feed(": ping\n"), ": ping\n", "a comment is no part of an event");
    assert_eq!(feed("data: 1\n"), "");
    assert_eq!(feed("\ndata: 2"), "data: 1\n\n");
    assert_eq!(feed("\r\n\r"), "data: 2\r\n\r");
    assert_eq!(feed("\n"), "\n");
    assert_eq!(feed("data: {\"choices\":[],\"usage\":{}}\r\r"), "");
    assert_eq!(feed("\n"), "", "it belongs to the event that went");
    assert_eq!(feed("\n"), "\n");
}

#[test]
fn what_is_too_long_passes_unedited_however_it_comes() {
    let long = format!("data: {{\"pad\":\"{}\",\"choices\":[],\"usage\":{{}}}}\n\n", "x".repeat(100));
    let short = "data: {\"choices\":[],\"usage\":{}}\n\n";
    let all = format!("{short}{long}{short}data: [DONE]\n\n");
    let want = format!("{long}data: [DONE]\n\n");
    for size in 1..=all.len() {
        assert_eq!(text(&edited(64, all.as_bytes().chunks(size))), text(want.as_bytes()), "pieces of {size}");
    }
    let mut remover = UsageRemover::new(64);
    let mut most = 0;
    for piece in long.as_bytes().chunks(7) {
        remover.feed(Bytes::copy_from_slice(piece));
        most = most.max(remover.held.len());
    }
    assert!(most <= 64, "{most}");
}

#[test]
fn what_breaks_off_is_given_as_it_came() {
    let mut remover = UsageRemover::new(LIMIT);
    assert_eq!(remover.feed(Bytes::from_static(b"data: {\"choices\":[{}],\"usage\":null}\n")), "");
    assert_eq!(remover.broke_off(), "data: {\"choices\":[{}],\"usage\":null}\n");
    assert!(remover.is_empty());
}
