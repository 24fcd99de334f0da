// Runs a client's cases against the base URL given and prints what each returned or threw, as JSON.
//
// Nothing is judged here: the same script runs straight and through limpid, and the Python side compares.

import { createHash } from "node:crypto";

export const base = process.argv[2];

/** Bytes are told by their number and hash. */
export function digest(data) {
  const bytes = Buffer.from(data);
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** As many bytes as asked, of every value, the same each time; CRLF and dashes among them. */
export function binary(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0, x = 7; i < length; i++) bytes[i] = x = (x * 73 + 41 + (i >> 8)) & 255;
  bytes.write("\r\n--boundary\r\n\r\n", length >> 1);
  return bytes;
}

/** All events of a stream until it ends, with the error that ended it. */
export async function drain(stream) {
  const events = [];
  try {
    for await (const event of stream) events.push(event);
  } catch (e) {
    return { events, broken: told(e) };
  }
  return { events };
}

/** Status and fields of a response; what concerns one connection alone is left out. */
export function head(response) {
  const hop = new Set(["connection", "keep-alive", "transfer-encoding"]);
  return { status: response.status, fields: [...response.headers].filter(([name]) => !hop.has(name)) };
}

/** An error as the program sees it: its class, what it carries and, for a broken connection, what lies under it. */
export function told(e) {
  const { message, status, code, type, param, error, statusCode, responseBody, isRetryable } = e;
  const cause = e.cause instanceof Error ? told(e.cause) : undefined;
  return { class: e.constructor.name, message, status, code, type, param, error, statusCode, responseBody, isRetryable, cause };
}

export async function run(cases) {
  const results = {};
  for (const [name, call] of Object.entries(cases)) {
    try {
      results[name] = { value: await call() };
    } catch (e) {
      results[name] = { error: told(e) };
    }
  }
  process.stdout.write(JSON.stringify(results));
}
