//! What each server's words come to: bodies as the servers write them, through observer and settlement, to category,
//! reason, fault and whether to try again. `limpid inspect` is the way in, so it is what a user would get.

#![expect(clippy::too_many_lines, reason = "a table a server")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail it by panicking")]

use std::time::{Duration, SystemTime};

use clap::Parser as _;
use limpid_app::cli::{Cli, Command};
use limpid_app::inspect_cmd;
use limpid_app::settings::Env;
use serde_json::Value;

/// The record that `limpid inspect` prints.
fn inspect(args: &[&str], body: &str) -> Value {
    let cli = Cli::try_parse_from([&["limpid", "inspect"], args].concat()).unwrap();
    let Command::Inspect(args) = cli.chosen() else { panic!("{args:?}") };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_334_400);
    let out = inspect_cmd::run(&args, &mut { body.as_bytes() }, Env::new(), now);
    assert_eq!((out.code, out.stderr.as_str()), (0, ""), "{body}");
    serde_json::from_str(&out.stdout).unwrap()
}

/// `category/reason fault again`, and the refusal's source if there is one.
fn verdict(record: &Value) -> String {
    let o = &record["outcome"];
    let word = |name: &str| o[name].as_str().unwrap_or("-").to_owned();
    let refused = record["refusal"]["source"].as_str().map(|s| format!(" {s}")).unwrap_or_default();
    format!("{}/{} {} {}{refused}", word("category"), word("reason"), word("fault"), word("retryable"))
}

fn check(endpoint: &str, cases: &[(&str, &str, &str)]) {
    for (status, body, want) in cases {
        assert_eq!(verdict(&inspect(&["--endpoint", endpoint, "--status", status], body)), *want, "{status} {body}");
    }
}

#[test]
fn openai_and_azure() {
    check(
        "chat",
        &[
            (
                "400",
                r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                "client_request/context_length client no",
            ),
            (
                "401",
                r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                "auth/invalid_api_key client no",
            ),
            (
                "404",
                r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
                "client_request/model_not_found client no",
            ),
            (
                "429",
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                "quota/insufficient_quota client no",
            ),
            (
                "429",
                r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
                "rate_limit/rate_limit_tokens client later",
            ),
            (
                "429",
                r#"{"error":{"message":"Rate limit reached for gpt-4o on requests per min (RPM): Limit 3, Used 3.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
                "rate_limit/rate_limit_requests client later",
            ),
            (
                "503",
                r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"server_error","param":null,"code":null}}"#,
                "overloaded/overloaded upstream later",
            ),
            (
                "500",
                r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
                "upstream_error/server_error upstream yes",
            ),
            (
                "400",
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
                "policy/content_filter client no error_code",
            ),
            (
                "429",
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds."}}"#,
                "rate_limit/rate_limit_tokens client later",
            ),
            (
                "429",
                r#"{"error":{"code":"429","message":"Requests to the Embeddings_Create Operation have exceeded call rate limit of your current OpenAI S0 pricing tier."}}"#,
                "rate_limit/rate_limit_requests client later",
            ),
            (
                "429",
                r#"{"error":{"code":"NoCapacity","message":"The system is currently experiencing high demand and cannot process your request."}}"#,
                "overloaded/overloaded upstream later",
            ),
            (
                "404",
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
                "client_request/model_not_found client no",
            ),
        ],
    );
}

#[test]
fn anthropic() {
    check(
        "messages",
        &[
            (
                "529",
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                "overloaded/overloaded upstream later",
            ),
            (
                "400",
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
                "client_request/context_length client no",
            ),
            (
                "400",
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."}}"#,
                "quota/insufficient_quota client no",
            ),
            (
                "402",
                r#"{"type":"error","error":{"type":"billing_error","message":"x"}}"#,
                "quota/insufficient_quota client no",
            ),
            (
                "404",
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-9"}}"#,
                "client_request/model_not_found client no",
            ),
            (
                "413",
                r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
                "client_request/too_large client no",
            ),
            (
                "429",
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 40,000 input tokens per minute"}}"#,
                "rate_limit/rate_limit_tokens client later",
            ),
            (
                "429",
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"Number of requests has exceeded your per-minute rate limit"}}"#,
                "rate_limit/rate_limit_requests client later",
            ),
            (
                "500",
                r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
                "upstream_error/server_error upstream yes",
            ),
            (
                "504",
                r#"{"type":"error","error":{"type":"timeout_error","message":"x"}}"#,
                "unavailable/gateway_timeout upstream later",
            ),
            (
                "403",
                r#"{"type":"error","error":{"type":"permission_error","message":"x"}}"#,
                "auth/permission client no",
            ),
        ],
    );
}

#[test]
fn vllm_sglang_and_llama_cpp() {
    check(
        "chat",
        &[
            (
                "400",
                r#"{"error":{"message":"This model's maximum context length is 1024 tokens. However, your prompt contains at least 1025 input tokens","type":"BadRequestError","param":"input_tokens","code":400}}"#,
                "client_request/context_length client no",
            ),
            (
                "404",
                r#"{"error":{"message":"The model `m` does not exist.","type":"NotFoundError","param":"model","code":404}}"#,
                "client_request/model_not_found client no",
            ),
            (
                "500",
                r#"{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}}"#,
                "upstream_error/engine_dead upstream later",
            ),
            ("401", r#"{"error":"Unauthorized"}"#, "auth/invalid_api_key client no"),
            ("405", r#"{"detail":"Method Not Allowed"}"#, "client_request/method_not_allowed client no"),
            (
                "400",
                r#"{"object":"error","message":"The input (2000 tokens) is longer than the model's context length (1024 tokens).","type":"BadRequestError","param":null,"code":400}"#,
                "client_request/context_length client no",
            ),
            (
                "400",
                r#"{"object":"error","message":"Input length (1531 tokens) exceeds the maximum allowed length (1024 tokens).","type":"BadRequestError","param":null,"code":400}"#,
                "client_request/context_length client no",
            ),
            (
                "503",
                r#"{"object":"error","message":"The request queue is full.","type":"ServiceUnavailableError","param":null,"code":503}"#,
                "overloaded/queue_full upstream later",
            ),
            (
                "400",
                r#"{"error":{"code":400,"message":"request (1531 tokens) exceeds the available context size (1024 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":1531,"n_ctx":1024}}"#,
                "client_request/context_length client no",
            ),
            (
                "503",
                r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
                "unavailable/loading upstream later",
            ),
            (
                "501",
                r#"{"error":{"code":501,"message":"This server does not support embeddings.","type":"not_supported_error"}}"#,
                "upstream_error/not_supported upstream no",
            ),
        ],
    );
}

#[test]
fn tgi_ollama_gemini_openrouter_bedrock_and_what_stands_before_them() {
    check(
        "generate",
        &[
            (
                "429",
                r#"{"error":"Model is overloaded","error_type":"overloaded"}"#,
                "overloaded/overloaded upstream later",
            ),
            (
                "422",
                r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 2000","error_type":"validation"}"#,
                "client_request/context_length client no",
            ),
            (
                "424",
                r#"{"error":"Request failed during generation: Server error: CUDA out of memory.","error_type":"generation"}"#,
                "upstream_error/out_of_memory upstream later",
            ),
            (
                "424",
                r#"{"error":"Request failed during generation: x","error_type":"generation"}"#,
                "upstream_error/server_error upstream yes",
            ),
            (
                "503",
                r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
                "overloaded/queue_full upstream later",
            ),
            ("404", r#"{"error":"model 'x' not found"}"#, "client_request/model_not_found client no"),
            (
                "500",
                r#"{"error":"model requires more system memory (9.0 GiB) than is available (4.0 GiB)"}"#,
                "upstream_error/out_of_memory upstream later",
            ),
            (
                "500",
                r#"{"error":"llama runner process has terminated: exit status 2"}"#,
                "upstream_error/engine_dead upstream later",
            ),
        ],
    );
    check(
        "generate_content",
        &[
            (
                "503",
                r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#,
                "overloaded/overloaded upstream later",
            ),
            (
                "429",
                r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED"}}]"#,
                "rate_limit/rate_limit client later",
            ),
            (
                "400",
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
                "auth/invalid_api_key client no",
            ),
            (
                "400",
                r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
                "client_request/context_length client no",
            ),
            (
                "404",
                r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#,
                "client_request/model_not_found client no",
            ),
        ],
    );
    check(
        "chat",
        &[
            (
                "403",
                r#"{"error":{"code":403,"message":"x requires moderation","metadata":{"reasons":["violence"],"flagged_input":"…","provider_name":"p"}}}"#,
                "policy/content_filter client no error_code",
            ),
            ("402", r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, "quota/insufficient_quota client no"),
            ("408", r#"{"error":{"code":408,"message":"x"}}"#, "client_request/request_timeout client later"),
            ("502", r#"{"error":{"code":502,"message":"x"}}"#, "unavailable/bad_gateway upstream yes"),
            (
                "400",
                r#"{"__type":"com.amazon.coral#ThrottlingException","message":"Too many requests"}"#,
                "rate_limit/rate_limit client later",
            ),
            (
                "400",
                r#"{"message":"Input is too long for requested model."}"#,
                "client_request/context_length client no",
            ),
            ("429", r#"{"__type":"ModelNotReadyException","message":"x"}"#, "unavailable/loading upstream later"),
            ("503", "no healthy upstream", "unavailable/unavailable upstream later"),
            ("504", "upstream request timeout", "unavailable/gateway_timeout upstream later"),
            ("502", "<html><h1>502 Bad Gateway</h1><hr>nginx</html>", "unavailable/bad_gateway upstream yes"),
        ],
    );
}

#[test]
fn a_200_that_failed_and_one_that_did_not() {
    let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    let finish = |reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n")
    };
    let error = |inner: &str| format!("{token}data: {{\"error\":{inner}}}\n\ndata: [DONE]\n\n");
    for (body, ending, want) in [
        (format!("{token}{}", finish("stop")), "end", "ok/stop - -"),
        (format!("{token}{}", finish("content_filter")), "end", "ok/content_filter - - finish_reason"),
        (token.to_owned(), "end", "stream_error/truncated upstream yes"),
        (token.to_owned(), "upstream_error", "stream_error/cut_off network yes"),
        (token.to_owned(), "client_gone", "cancelled/client_gone client no"),
        (
            error(r#"{"message":"EngineCore encountered an issue.","type":"InternalServerError","code":500}"#),
            "end",
            "stream_error/engine_dead upstream later",
        ),
        (
            error(r#"{"message":"x","type":"BadRequestError","code":400}"#),
            "end",
            "client_request/invalid_request client no",
        ),
        (error(r#"{"message":"x","code":502}"#), "end", "unavailable/bad_gateway upstream yes"),
        (error(r#"{"message":"x"}"#), "end", "stream_error/in_stream_error upstream yes"),
        (format!("{token}{}", finish("error")), "end", "stream_error/in_stream_error upstream yes"),
    ] {
        assert_eq!(verdict(&inspect(&["--endpoint", "chat", "--ending", ending], &body)), want, "{ending} {body}");
    }
    let messages = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    assert_eq!(verdict(&inspect(&["--endpoint", "messages"], messages)), "overloaded/overloaded upstream later");
    let flat = "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"x\",\"param\":null}\n\n";
    assert_eq!(verdict(&inspect(&["--endpoint", "responses"], flat)), "rate_limit/rate_limit client later");
}

/// One reply of each kind of API, streamed where it can be.
#[test]
fn inspect_reads_every_kind_of_api() {
    for (endpoint, body, stream, usage, want) in [
        (
            "generate",
            "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\"Hi\",\"logprob\":0,\"special\":false},\"generated_text\":\"Hi\",\"details\":{\"finish_reason\":\"length\",\"generated_tokens\":1,\"input_length\":3}}\n\n",
            true,
            [Some(3), Some(1)],
            "ok/length - -",
        ),
        (
            "generate",
            "{\"model\":\"l\",\"response\":\"x\",\"done\":false}\n{\"model\":\"l\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":5,\"eval_count\":1}\n",
            true,
            [Some(5), Some(1)],
            "ok/stop - -",
        ),
        (
            "generate_content",
            "[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}]}\n,\r\n{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":2,\"candidatesTokenCount\":4}}]",
            true,
            [Some(2), Some(4)],
            "ok/stop - -",
        ),
        (
            "generate_content",
            "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":2}}\r\n\r\n",
            true,
            [Some(2), None],
            "ok/safety - - block_reason",
        ),
        (
            "generate_content",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":2,\"candidatesTokenCount\":4}}",
            false,
            [Some(2), Some(4)],
            "ok/max_tokens - -",
        ),
        (
            "generate_content",
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}]}\n\n",
            true,
            [None, None],
            "stream_error/truncated upstream yes",
        ),
        (
            "audio",
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"I\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"I\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":3}}\n\n",
            true,
            [Some(14), Some(3)],
            "ok/ok - -",
        ),
        (
            "audio",
            "data: {\"type\":\"transcript.text.delta\",\"delta\":\"I\"}\n\n",
            true,
            [None, None],
            "stream_error/truncated upstream yes",
        ),
        (
            "images",
            "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",\"usage\":{\"input_tokens\":4,\"output_tokens\":272}}\n\n",
            true,
            [Some(4), Some(272)],
            "ok/ok - -",
        ),
        (
            "rerank",
            "{\"model\":\"j\",\"usage\":{\"total_tokens\":8},\"results\":[]}",
            false,
            [Some(8), None],
            "ok/ok - -",
        ),
        (
            "embeddings",
            "{\"model\":\"e\",\"embeddings\":[[1]],\"prompt_eval_count\":8}",
            false,
            [Some(8), None],
            "ok/ok - -",
        ),
        (
            "moderations",
            "{\"id\":\"m\",\"model\":\"o\",\"results\":[{\"flagged\":true}]}",
            false,
            [None, None],
            "ok/ok - -",
        ),
        ("tokenize", "{\"count\":3,\"tokens\":[1,2,3]}", false, [None, None], "ok/ok - -"),
    ] {
        let record = inspect(&["--endpoint", endpoint], body);
        assert_eq!(verdict(&record), want, "{endpoint} {body}");
        assert_eq!(record["stream"], stream, "{endpoint} {body}");
        assert_eq!(record.get("observer_fault"), None, "{endpoint} {body}");
        let told = &record["usage"];
        let told = if told["source"] == "reported" { told.clone() } else { Value::Null };
        assert_eq!([told["input_tokens"].as_u64(), told["output_tokens"].as_u64()], usage, "{endpoint} {body}");
    }
}
