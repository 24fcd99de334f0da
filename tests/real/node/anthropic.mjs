import Anthropic from "@anthropic-ai/sdk";
import { base, drain, head, run } from "./cases.mjs";

const client = new Anthropic({ baseURL: base, apiKey: "none", maxRetries: 0, timeout: 30_000 });
const asks = (content) => ({ model: "claude-mock", max_tokens: 100, messages: [{ role: "user", content }] });
const streams = (content) => ({ ...asks(content), stream: true });
const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "weather", description: "The weather", input_schema }];
const chaos = (what) => ({ headers: { [`x-aimock-chaos-${what}`]: "1" } });

await run({
  "models": async () => (await client.models.list()).data,
  "message": () => client.messages.create(asks("case-plain")),
  "message-head": async () => head((await client.messages.create(asks("case-plain")).withResponse()).response),
  "message-beta": () => client.beta.messages.create({ ...asks("case-plain"), betas: ["context-1m-2025-08-07"] }),
  "message-blocks": () => client.messages.create(asks([{ type: "text", text: "case-plain", cache_control: { type: "ephemeral" } }])),
  "streamed": async () => drain(await client.messages.create(streams("case-plain"))),
  "streamed-head": async () => {
    const { data, response } = await client.messages.create(streams("case-plain")).withResponse();
    await drain(data);
    return head(response);
  },
  "stream-helper": () => client.messages.stream(asks("case-plain")).finalMessage(),
  "thinking-streamed": async () =>
    drain(await client.messages.create({ ...streams("case-reasoning"), max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 2000 } })),
  "tools": () => client.messages.create({ ...asks("case-tools"), tools }),
  "tools-streamed": async () => drain(await client.messages.create({ ...streams("case-tools"), tools })),
  "tools-stream-helper": () => client.messages.stream({ ...asks("case-tools"), tools }).finalMessage(),
  "tool-result": () =>
    client.messages.create({
      ...asks("case-tools"),
      tools,
      messages: [
        { role: "user", content: "case-tools" },
        { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "weather", input: { city: "Madrid" } }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "t1", content: "11" }] },
      ],
    }),
  "abort-streamed": async () => {
    const stream = client.messages.stream(asks("case-long"));
    const text = [];
    stream.on("text", (piece) => text.push(piece) === 3 && stream.abort());
    const ended = await stream.finalMessage().catch((e) => e.constructor.name);
    return [text.slice(0, 3), ended];
  },
  "abort-break": async () => {
    const text = [];
    for await (const event of await client.messages.create(streams("case-long"))) {
      if (event.type === "content_block_delta" && text.push(event.delta.text) === 3) break;
    }
    return text;
  },
  "error-400": () => client.messages.create(asks("case-error-400")),
  "error-429": () => client.messages.create(asks("case-error-429")),
  "error-529-streamed": () => client.messages.create(streams("case-error-529")),
  "error-no-fixture": () => client.messages.create(asks("nothing matches this")),
  "error-no-path": () => client.get("/v1/no/such/path"),
  "retried": () => client.messages.create(asks("case-flaky"), { maxRetries: 1 }),
  "truncated": async () => drain(await client.messages.create(streams("case-truncated"))),
  "truncated-helper": () => client.messages.stream(asks("case-truncated")).finalMessage(),
  "cut-by-time": async () => drain(await client.messages.create(streams("case-cut-by-time"))),
  "chaos-drop": () => client.messages.create(asks("case-plain"), chaos("drop")),
  "chaos-malformed": () => client.messages.create(asks("case-plain"), chaos("malformed")),
  "chaos-ratelimit": () => client.messages.create(asks("case-plain"), chaos("ratelimit")),
  "chaos-disconnect": () => client.messages.create(asks("case-plain"), chaos("disconnect")),
});
