import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";
import { base, binary, digest, run, told } from "./cases.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ baseURL: `${base}/v1`, apiKey: "sk-none" });
const quiet = { maxRetries: 0, onError: () => {} };
const apis = { chat: openai.chat("gpt-4o-mini"), responses: openai.responses("gpt-4o-mini") };
const schema = ai.jsonSchema({ type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false });
const weather = ai.tool({ description: "The weather", inputSchema: schema, execute: async ({ city }) => `11 in ${city}` });

/** What one call came to, without the raw bodies that the library keeps beside it. */
const summary = (r) => ({
  text: r.text, reasoning: r.reasoningText, finish: r.finishReason, usage: r.usage,
  steps: r.steps.map((s) => ({ text: s.text, finish: s.finishReason, calls: s.toolCalls.map((c) => [c.toolName, c.input]), results: s.toolResults.map((t) => t.output) })),
});

/** The parts of a stream in order; an error part as the program sees it. */
async function parts(result) {
  const got = [];
  for await (const p of result.stream ?? result.fullStream) {
    if (p.type === "error") got.push([p.type, told(p.error)]);
    else if (p.type === "abort") got.push([p.type]);
    else got.push([p.type, p.text ?? p.delta ?? p.input ?? p.output ?? p.finishReason ?? null]);
  }
  return got;
}

const cases = {};
for (const [api, model] of Object.entries(apis)) {
  Object.assign(cases, {
    [`${api}`]: async () => summary(await ai.generateText({ model, prompt: "case-plain", ...quiet })),
    [`${api}-streamed`]: () => parts(ai.streamText({ model, prompt: "case-plain", ...quiet })),
    [`${api}-tools`]: async () =>
      summary(await ai.generateText({ model, prompt: "case-tools", tools: { weather }, stopWhen: ai.stepCountIs(2), ...quiet })),
    [`${api}-tools-streamed`]: () => parts(ai.streamText({ model, prompt: "case-tools", tools: { weather }, ...quiet })),
    [`${api}-object`]: async () => (await ai.generateText({ model, prompt: "case-object", output: ai.Output.object({ schema }), ...quiet })).output,
    [`${api}-abort`]: async () => {
      const abort = new AbortController();
      const text = [];
      for await (const piece of ai.streamText({ model, prompt: "case-long", abortSignal: abort.signal, ...quiet }).textStream) {
        if (text.push(piece) === 3) abort.abort();
      }
      return text.slice(0, 3);
    },
    [`error-${api}-400`]: () => ai.generateText({ model, prompt: "case-error-400", ...quiet }),
    [`error-${api}-429`]: () => ai.generateText({ model, prompt: "case-error-429", ...quiet }),
    [`${api}-error-500-streamed`]: () => parts(ai.streamText({ model, prompt: "case-error-500", ...quiet })),
    [`truncated-${api}`]: () => parts(ai.streamText({ model, prompt: "case-truncated", ...quiet })),
    [`truncated-${api}-by-time`]: () => parts(ai.streamText({ model, prompt: "case-cut-by-time", ...quiet })),
    [`chaos-${api}-drop`]: () => ai.generateText({ model, prompt: "case-plain", headers: { "x-aimock-chaos-drop": "1" }, ...quiet }),
    [`chaos-${api}-malformed`]: () => ai.generateText({ model, prompt: "case-plain", headers: { "x-aimock-chaos-malformed": "1" }, ...quiet }),
  });
}

await run({
  ...cases,
  "retried": async () => summary(await ai.generateText({ model: apis.chat, prompt: "case-flaky", maxRetries: 1 })),
  "embeddings": async () => (await ai.embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["a lighthouse", "b"], maxRetries: 0 })).embeddings,
  "transcription": async () => {
    const transcribe = ai.transcribe ?? ai.experimental_transcribe;
    const got = await transcribe({ model: openai.transcription("whisper-1"), audio: binary(200_000), maxRetries: 0 });
    return { text: got.text, language: got.language, seconds: got.durationInSeconds };
  },
  "speech": async () => {
    const say = ai.generateSpeech ?? ai.experimental_generateSpeech;
    const { audio } = await say({ model: openai.speech("tts-1"), text: "a lighthouse", maxRetries: 0 });
    return { ...digest(audio.uint8Array), type: audio.mediaType };
  },
});
