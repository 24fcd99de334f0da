//! A plain delta costs no allocation once the stream runs. Alone in its file, for the counter is the process's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use limpid_core::{Endpoint, KeptText, TextBudget, Tick};
use limpid_observe::{Limits, ResponseHead, ResponseObserver};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "a global allocator cannot be written without; it only counts and hands on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's own promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of 1,000 deltas, after a first part and 10 deltas to warm up; each delta comes in `pieces` reads.
fn allocations(
    endpoint: Endpoint,
    content_type: &str,
    [first, delta]: [&str; 2],
    pieces: usize,
    keep: Option<KeptText>,
) -> u64 {
    let head = ResponseHead { endpoint, status: 200, content_type: Some(content_type), content_encoding: None };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    if let Some(text) = keep {
        observer.keep_text(text);
    }
    observer.on_bytes(first.as_bytes(), Tick(0));
    let piece = delta.len().div_ceil(pieces);
    let mut before = 0;
    for n in 0..1010 {
        if n == 10 {
            before = COUNT.with(Cell::get);
        }
        for part in delta.as_bytes().chunks(piece) {
            observer.on_bytes(part, Tick(n));
        }
    }
    let count = COUNT.with(Cell::get) - before;
    let seen = observer.observation();
    assert_eq!((seen.token_events, seen.fault), (1010, None), "{endpoint}: these are no token events");
    count
}

const SSE: &str = "text/event-stream";

/// A server, its API and label, what comes before the deltas, and a delta.
const CASES: [(&str, Endpoint, &str, &str, &str); 11] = [
    (
        "vLLM chat",
        Endpoint::Chat,
        SSE,
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\
             \"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\
             \"delta\":{\"content\":\" a\\n\\u00e9\"},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]}\n\n",
    ),
    (
        "OpenAI chat",
        Endpoint::Chat,
        SSE,
        "",
        "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt\",\"service_tier\":\"default\",\
             \"system_fingerprint\":\"fp\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"logprobs\":null,\
             \"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"abcdef\"}\n\n",
    ),
    (
        "Azure chat",
        Endpoint::Chat,
        SSE,
        "",
        "data: {\"choices\":[{\"content_filter_results\":{\"hate\":{\"filtered\":false,\"severity\":\"safe\"}},\"delta\":\
             {\"content\":\"Hi\"},\"finish_reason\":null,\"index\":0}],\"id\":\"c\",\"model\":\"m\"}\n\n",
    ),
    (
        "tool arguments",
        Endpoint::Chat,
        SSE,
        "",
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":\
             {\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n",
    ),
    (
        "completions",
        Endpoint::Completions,
        SSE,
        "",
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\" x\",\"finish_reason\":null}]}\n\n",
    ),
    (
        "Responses",
        Endpoint::Responses,
        SSE,
        "",
        "event: response.output_text.delta\ndata: {\"content_index\":0,\"delta\":\" x\",\"item_id\":\"i\",\"logprobs\":[],\
             \"output_index\":0,\"sequence_number\":5,\"type\":\"response.output_text.delta\"}\n\n",
    ),
    (
        "Messages",
        Endpoint::Messages,
        SSE,
        "",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
             \"text\":\"Hi\"}}\n\n",
    ),
    (
        "Ollama",
        Endpoint::Generate,
        "application/x-ndjson",
        "",
        "{\"model\":\"m\",\"created_at\":\"2026-11-22T08:00:00Z\",\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\
             \"done\":false}\n",
    ),
    (
        "Gemini",
        Endpoint::GenerateContent,
        SSE,
        "",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" Hi\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":\
             {\"promptTokenCount\":4,\"candidatesTokenCount\":3,\"totalTokenCount\":7,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\
             \"tokenCount\":4}]},\"modelVersion\":\"g\",\"responseId\":\"r\"}\n\n",
    ),
    (
        "TGI",
        Endpoint::Generate,
        SSE,
        "",
        "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\" Hi\",\"logprob\":-0.1,\"special\":false},\"generated_text\":null,\
             \"details\":null}\n\n",
    ),
    ("transcription", Endpoint::Audio, SSE, "", "data: {\"type\":\"transcript.text.delta\",\"delta\":\" Hi\"}\n\n"),
];

#[test]
fn plain_deltas_allocate_nothing() {
    for (name, endpoint, content_type, first, delta) in CASES {
        for pieces in [1, 3] {
            let count = allocations(endpoint, content_type, [first, delta], pieces, None);
            assert_eq!(count, 0, "{name}, {pieces} reads an event: allocations of 1,000 deltas");
        }
    }
}

#[test]
fn kept_text_allocates_its_buffer_a_few_times() {
    let budget = TextBudget::new(1 << 20);
    for (name, endpoint, content_type, first, delta) in CASES {
        let text = KeptText::new(1 << 18, &budget);
        let count = allocations(endpoint, content_type, [first, delta], 1, Some(text));
        assert!(count <= 5, "{name}: {count} allocations of 1,000 deltas");
    }
    assert_eq!(budget.taken(), 0);
}

#[test]
#[expect(clippy::print_stderr, reason = "the figure is the point")]
#[ignore = "a rough figure, not a check: run with --release --nocapture --ignored"]
fn time_of_a_delta() {
    let delta = "data: {\"id\":\"chatcmpl-8cbea992112edfab\",\"object\":\"chat.completion.chunk\",\"created\":1795336069,\
                 \"model\":\"smollm2-135m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" bear\"},\"logprobs\":null,\
                 \"finish_reason\":null,\"token_ids\":null}]}\n\n";
    let head = ResponseHead { endpoint: Endpoint::Chat, status: 200, content_type: Some(SSE), content_encoding: None };
    let mut observer = ResponseObserver::new(&head, Limits::default());
    let events: u32 = 200_000;
    let start = std::time::Instant::now();
    for n in 0..events {
        observer.on_bytes(std::hint::black_box(delta.as_bytes()), Tick(n.into()));
    }
    let each = start.elapsed().as_nanos() as f64 / f64::from(events);
    eprintln!("{each:.0} ns for an event of {} bytes", delta.len());
    assert_eq!(observer.observation().token_events, u64::from(events));
}
