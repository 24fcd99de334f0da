import OpenAI, { toFile } from "openai";
import { base, binary, digest, drain, head, run } from "./cases.mjs";

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "sk-none", maxRetries: 0, timeout: 30_000 });
const model = "gpt-4o-mini";
const asks = (content) => ({ model, messages: [{ role: "user", content }] });
const streams = (content) => ({ ...asks(content), stream: true, stream_options: { include_usage: true } });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", function: { name: "weather", description: "The weather", parameters } }];
const chat = client.chat.completions;
const chaos = (what) => ({ headers: { [`x-aimock-chaos-${what}`]: "1" } });

await run({
  "models": async () => (await client.models.list()).data,
  "chat": () => chat.create(asks("case-plain")),
  "chat-head": async () => head((await chat.create(asks("case-plain")).withResponse()).response),
  "chat-request-id": async () => {
    const { request_id } = await chat.create(asks("case-plain"), { headers: { "x-request-id": "mine-1" } }).withResponse();
    return request_id;
  },
  "chat-streamed": async () => drain(await chat.create(streams("case-plain"))),
  "chat-streamed-head": async () => {
    const { data, response } = await chat.create(streams("case-plain")).withResponse();
    await drain(data);
    return head(response);
  },
  "chat-stream-helper": () => chat.stream(streams("case-plain")).finalChatCompletion(),
  "reasoning-streamed": async () => drain(await chat.create({ ...streams("case-reasoning"), model: "o3-mini" })),
  "tools": () => chat.create({ ...asks("case-tools"), tools }),
  "tools-streamed": async () => drain(await chat.create({ ...streams("case-tools"), tools })),
  "tools-run": async () => {
    const weather = { name: "weather", parameters, parse: JSON.parse, function: ({ city }) => `11 in ${city}` };
    const runner = chat.runTools({ ...asks("case-tools"), tools: [{ type: "function", function: weather }] });
    return [await runner.finalContent(), runner.messages];
  },
  "object": () =>
    chat.parse({ ...asks("case-object"), response_format: { type: "json_schema", json_schema: { name: "w", schema: parameters } } }),
  "responses": () => client.responses.create({ model, input: "case-plain" }),
  "responses-streamed": async () => drain(await client.responses.create({ model, input: "case-plain", stream: true })),
  "responses-tools-streamed": async () =>
    drain(await client.responses.create({ model, input: "case-tools", stream: true, tools: [{ type: "function", name: "weather", parameters }] })),
  "responses-stream-helper": () => client.responses.stream({ model, input: "case-reasoning" }).finalResponse(),
  "embeddings": () => client.embeddings.create({ model: "text-embedding-3-small", input: "a lighthouse" }),
  "embeddings-float": () =>
    client.embeddings.create({ model: "text-embedding-3-small", input: ["a lighthouse", "a lighthouse too"], encoding_format: "float" }),
  "moderations": () => client.moderations.create({ input: "a lighthouse" }),
  "files": async () => {
    const sent = binary(700_001);
    const made = await client.files.create({ file: await toFile(sent, "odd näme \"1\".bin"), purpose: "user_data" });
    const got = await (await client.files.content(made.id)).arrayBuffer();
    const listed = (await client.files.list()).data.length;
    const found = await client.files.retrieve(made.id);
    const gone = await client.files.delete(made.id);
    return { made, sent: digest(sent), got: digest(got), listed, found, gone };
  },
  "files-refused": async () => client.files.create({ file: await toFile(binary(10_000), "a.bin"), purpose: "nonsense" }),
  "transcription": async () =>
    client.audio.transcriptions.create({ model: "whisper-1", file: await toFile(binary(200_000), "a.wav"), response_format: "verbose_json" }),
  "translation": async () => client.audio.translations.create({ model: "whisper-1", file: await toFile(binary(5_000), "a.wav") }),
  "speech": async () => {
    const response = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "a lighthouse" });
    return { ...digest(await response.arrayBuffer()), type: response.headers.get("content-type") };
  },
  "abort-streamed": async () => {
    const stream = await chat.create(streams("case-long"));
    const text = [];
    for await (const event of stream) {
      text.push(event.choices[0]?.delta.content);
      if (text.length === 4) stream.controller.abort();
    }
    return text.slice(0, 4);
  },
  "abort-signal": async () => {
    const abort = new AbortController();
    const stream = await chat.create(streams("case-long"), { signal: abort.signal });
    const text = [];
    for await (const event of stream) {
      text.push(event.choices[0]?.delta.content);
      if (text.length === 3) abort.abort();
    }
    return text.slice(0, 3);
  },
  "abort-break": async () => {
    for await (const event of await chat.create(streams("case-long"))) return event;
  },
  "error-400": () => chat.create(asks("case-error-400")),
  "error-429": () => chat.create(asks("case-error-429")),
  "error-500-streamed": () => chat.create(streams("case-error-500")),
  "error-no-fixture": () => chat.create(asks("nothing matches this")),
  "error-no-path": () => client.get("/no/such/path?a=%2F&b"),
  "error-timeout": () => chat.create(asks("case-plain"), { timeout: 100, headers: { "x-aimock-chaos-latency": "600" } }),
  "retried": () => chat.create(asks("case-flaky"), { maxRetries: 1 }),
  "truncated": async () => drain(await chat.create(streams("case-truncated"))),
  "responses-truncated": async () => drain(await client.responses.create({ model, input: "case-truncated", stream: true })),
  "cut-by-time": async () => drain(await chat.create(streams("case-cut-by-time"))),
  "chaos-drop": () => chat.create(asks("case-plain"), chaos("drop")),
  "chaos-malformed": () => chat.create(asks("case-plain"), chaos("malformed")),
  "chaos-malformed-streamed": async () => drain(await chat.create(streams("case-plain"), chaos("malformed"))),
  "chaos-ratelimit": () => chat.create(asks("case-plain"), chaos("ratelimit")),
  "chaos-disconnect": () => chat.create(asks("case-plain"), chaos("disconnect")),
});
