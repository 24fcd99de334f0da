//! Each dialect's replies have its shape and the exact counts.

use super::*;

fn joined<'a>(parts: impl Iterator<Item = &'a Value>) -> String {
    parts.filter_map(Value::as_str).collect()
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[tokio::test(start_paused = true)]
async fn chat_streams_role_tokens_finish_usage_and_done() {
    let mut client = Client::new().await;
    let mut request =
        chat(json!({"tokens": 9, "tokens_per_chunk": 2, "reasoning_tokens": 3, "cached_input_tokens": 2}));
    request["stream_options"] = json!({"include_usage": true});
    let reply = client.post(CHAT, request).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let events = reply.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert!(events.iter().all(|e| e["model"] == "m" && e["object"] == "chat.completion.chunk"));
    assert_eq!(words(&joined(events.iter().map(|e| &e["choices"][0]["delta"]["reasoning_content"]))), 3);
    assert_eq!(words(&joined(events.iter().map(|e| &e["choices"][0]["delta"]["content"]))), 9);
    assert_eq!(events.len(), 1 + 2 + 5 + 1 + 1);
    let (finish, usage) = (&events[8], &events[9]);
    assert_eq!(finish["choices"][0]["finish_reason"], "stop");
    assert!(events[..9].iter().all(|e| e.get("usage") == Some(&Value::Null)));
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["prompt_tokens"], 3);
    assert_eq!(usage["usage"]["completion_tokens"], 12);
    assert_eq!(usage["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    assert_eq!(usage["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
    assert_eq!(reply.data().last(), Some(&"[DONE]"));
}

#[tokio::test(start_paused = true)]
async fn chat_usage_follows_its_mode() {
    let mut client = Client::new().await;
    for (usage, ask, chunks_with_usage) in [
        ("if_asked", false, 0),
        ("if_asked", true, 1),
        ("always", false, 1),
        ("never", true, 0),
        ("continuous", false, 7),
    ] {
        let mut request = chat(json!({"tokens": 4, "usage": usage}));
        request["stream_options"] = json!({"include_usage": ask});
        let reply = client.post(CHAT, request).await;
        let events = reply.events();
        let counts: Vec<_> = events.iter().filter_map(|e| e["usage"]["completion_tokens"].as_u64()).collect();
        assert_eq!(counts.len(), chunks_with_usage, "{usage} {ask}");
        if usage == "continuous" {
            assert_eq!(counts, [0, 1, 2, 3, 4, 4, 4]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn chat_tools_and_refusals_have_their_members() {
    let mut client = Client::new().await;
    let reply = client.post(CHAT, chat(json!({"output": "tool_call", "tokens": 6}))).await;
    let events = reply.events();
    let call = |e: &Value| e["choices"][0]["delta"]["tool_calls"][0]["function"].clone();
    assert_eq!(call(&events[1])["name"], "look_up");
    let calls: Vec<_> = events.iter().map(call).collect();
    let arguments: Value = serde_json::from_str(&joined(calls.iter().map(|c| &c["arguments"]))).unwrap();
    assert!(arguments["place"].is_string());
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(client.stats.trace("r1").unwrap().tokens().len(), 1 + 6);

    let reply = client.post(CHAT, chat(json!({"output": "refusal"}))).await;
    let text = joined(reply.events().iter().map(|e| &e["choices"][0]["delta"]["refusal"]));
    assert_eq!(text, "I'm sorry, but I can't help with that.");

    let mut request = chat(json!({}));
    request["max_tokens"] = 5.into();
    let reply = client.post(CHAT, request.clone()).await;
    assert_eq!(reply.events().last().unwrap()["choices"][0]["finish_reason"], "length");
    request["stream"] = false.into();
    let whole = client.post(CHAT, request).await.json();
    assert_eq!(whole["usage"]["completion_tokens"], 5);
    assert_eq!(words(whole["choices"][0]["message"]["content"].as_str().unwrap()), 5);
}

#[tokio::test(start_paused = true)]
async fn completions_stream_text() {
    let mut client = Client::new().await;
    let request = json!({"model": "m", "prompt": "one two", "stream": true, "sim": {"tokens": 4, "usage": "always"}});
    let reply = client.post("/v1/completions", request).await;
    let events = reply.events();
    assert_eq!(words(&joined(events.iter().map(|e| &e["choices"][0]["text"]))), 4);
    assert_eq!(events.len(), 4 + 1 + 1);
    assert_eq!(events[5]["usage"]["total_tokens"], 6);
    let whole = client.post("/v1/completions", json!({"prompt": "one two"})).await.json();
    assert_eq!(whole["object"], "text_completion");
}

#[tokio::test(start_paused = true)]
async fn responses_are_numbered_and_end_with_the_whole() {
    let mut client = Client::new().await;
    let sim = json!({"tokens": 7, "reasoning_tokens": 4, "tokens_per_chunk": 3, "cached_input_tokens": 1});
    let request = json!({"model": "m", "input": "one two three", "stream": true, "sim": sim});
    let reply = client.post("/v1/responses", request).await;
    let events = reply.events();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n, "{event}");
    }
    let of = |kind: &str| events.iter().filter(|e| e["type"] == kind).collect::<Vec<_>>();
    let reasoning = joined(of("response.reasoning_text.delta").into_iter().map(|e| &e["delta"]));
    let text = joined(of("response.output_text.delta").into_iter().map(|e| &e["delta"]));
    assert_eq!((words(&reasoning), words(&text)), (4, 7));
    assert_eq!(of("response.output_text.delta").len(), 3);
    assert_eq!(of("response.output_text.done")[0]["text"], text);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["usage"]["output_tokens"], 11);
    assert_eq!(last["response"]["usage"]["input_tokens_details"]["cached_tokens"], 1);
    assert_eq!(last["response"]["output"][1]["content"][0]["text"], text);

    let sim = json!({"tokens": 4, "output": "tool_call"});
    let reply = client.post("/v1/responses", json!({"input": "x", "stream": true, "sim": sim})).await;
    assert!(reply.events().iter().any(|e| e["type"] == "response.function_call_arguments.done"));
    let request = json!({"input": "x", "stream": true, "max_output_tokens": 2, "sim": {}});
    let reply = client.post("/v1/responses", request).await;
    assert_eq!(reply.events().last().unwrap()["response"]["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(reply.events().last().unwrap()["type"], "response.incomplete");
}

#[tokio::test(start_paused = true)]
async fn messages_come_in_blocks_and_count_cached_input_apart() {
    let mut client = Client::new().await;
    let sim = json!({"tokens": 5, "reasoning_tokens": 2, "input_tokens": 100, "cached_input_tokens": 40});
    let reply = client.post("/v1/messages", chat(sim.clone())).await;
    let events = reply.events();
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "ping", "content_block_start"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(words(&joined(events.iter().map(|e| &e["delta"]["thinking"]))), 2);
    assert_eq!(words(&joined(events.iter().map(|e| &e["delta"]["text"]))), 5);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 60);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 40);
    let delta = &events[events.len() - 2];
    assert_eq!((&delta["usage"]["output_tokens"], &delta["delta"]["stop_reason"]), (&json!(7), &json!("end_turn")));
    let indices: Vec<_> = events.iter().filter_map(|e| e["index"].as_u64()).collect();
    assert!(indices.is_sorted() && indices.last() == Some(&1));

    let mut request = chat(sim);
    request["stream"] = false.into();
    let whole = client.post("/v1/messages", request).await.json();
    assert_eq!(whole["usage"]["output_tokens"], 7);
    assert_eq!(words(whole["content"][1]["text"].as_str().unwrap()), 5);

    let reply = client.post("/v1/messages", chat(json!({"output": "refusal"}))).await;
    assert!(reply.events().iter().any(|e| e["delta"]["stop_reason"] == "refusal"));
    let reply = client.post("/v1/messages", chat(json!({"output": "tool_call", "tokens": 5}))).await;
    let json = joined(reply.events().iter().map(|e| &e["delta"]["partial_json"]));
    assert!(serde_json::from_str::<Value>(&json).unwrap()["place"].is_string());
}

#[tokio::test(start_paused = true)]
async fn ollama_sends_lines_and_streams_unasked() {
    let mut client = Client::new().await;
    let messages = json!([{"role": "user", "content": "one two"}]);
    let sim = json!({"tokens": 5, "reasoning_tokens": 2});
    let reply = client.post("/api/chat", json!({"model": "m", "messages": messages, "sim": sim})).await;
    assert_eq!(reply.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = reply.text().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(words(&joined(lines.iter().map(|l| &l["message"]["content"]))), 5);
    assert_eq!(words(&joined(lines.iter().map(|l| &l["message"]["thinking"]))), 2);
    let last = lines.last().unwrap();
    assert_eq!((&last["done"], &last["prompt_eval_count"], &last["eval_count"]), (&json!(true), &json!(2), &json!(7)));
    assert!(lines[..7].iter().all(|l| l["done"] == false));

    let whole = client.post("/api/generate", json!({"prompt": "x", "stream": false, "sim": {"tokens": 3}})).await;
    assert_eq!(words(whole.json()["response"].as_str().unwrap()), 3);
}

#[tokio::test(start_paused = true)]
async fn embeddings_have_a_vector_an_input() {
    let mut client = Client::new().await;
    let request = json!({"model": "e", "input": ["a b", "c"], "encoding_format": "float"});
    let reply = client.post("/v1/embeddings", request).await.json();
    assert_eq!(reply["data"].as_array().unwrap().len(), 2);
    assert_eq!(reply["data"][1]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(reply["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    let reply = client.post("/v1/embeddings", json!({"input": "a", "encoding_format": "base64"})).await.json();
    assert!(reply["data"][0]["embedding"].is_string());
}

#[tokio::test(start_paused = true)]
async fn presets_and_names_with_quotes_work() {
    let mut client = Client::new().await;
    let mut request = chat(json!({"tokens": 2}));
    request["model"] = "sim-reasoning".into();
    let reply = client.post(CHAT, request.clone()).await;
    assert_eq!(words(&joined(reply.events().iter().map(|e| &e["choices"][0]["delta"]["reasoning_content"]))), 60);
    request["model"] = "a \"quoted\" name\n".into();
    let reply = client.post(CHAT, request).await;
    assert_eq!(reply.events()[1]["model"], "a \"quoted\" name\n");
}

#[tokio::test(start_paused = true)]
async fn padding_makes_events_large_and_nothing_else() {
    let mut client = Client::new().await;
    for (path, request) in [(CHAT, chat(json!({}))), ("/v1/responses", json!({"input": "x", "stream": true}))] {
        for usage in ["always", "continuous"] {
            let mut request = request.clone();
            request["sim"] = json!({"tokens": 3, "padding": 5000, "usage": usage});
            let events = client.post(path, request).await.events();
            let padded = events.iter().filter(|e| e["obfuscation"].as_str().is_some_and(|o| o.len() == 5000));
            assert_eq!(padded.count(), 3, "{path} {usage}");
        }
    }
}
