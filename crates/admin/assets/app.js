// The dashboard: polls the JSON API every two seconds and draws what it answers. Nothing is computed here that the API
// does not define.

import { GROUP_OF, showOutcomes, showTtft } from "/assets/charts.js";
import { $, DASH, clock, compact, digits, el, known, ms, share, span, upTo, usd, whole } from "/assets/format.js";

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;
const TAIL = 50;
const STEPS = { "1m": "5s", "5m": "10s", "15m": "30s", "1h": "60s" };

// An exchange whose client left says nothing of the service, so it is neither a success nor an error.
const judged = (c) => c.count - c.outcomes.cancelled;
const failed = (c) => judged(c) - c.outcomes.ok;

// ---- tables ----------------------------------------------------------------------------------------------------------

const cell = (text, attributes = {}) =>
  el("td", { ...attributes, class: [attributes.class, text === DASH && "none"].filter(Boolean).join(" ") || null }, text);
const head = ([text, title, attributes]) => el("th", { scope: "col", title, ...attributes }, text);
const text = { class: "text" };

function fill(table, heads, rows, nothing) {
  const width = heads.at(-1).length;
  const empty = el("tr", {}, el("td", { colspan: width, class: "quiet" }, nothing));
  table.replaceChildren(
    el("thead", {}, ...heads.map((row) => el("tr", {}, ...row.map(head)))),
    el("tbody", {}, ...(rows.length ? rows : [empty])),
  );
}

const N = "Percentiles are over the exchanges in which the number is known, failed ones included.";
const GROUP_HEADS = [
  ["Exchanges", "Exchanges that ended in the window"],
  ["Errors", "Share that failed. Exchanges whose client left are not counted on either side"],
  ["429 limit", "rate_limit: too many requests or tokens for now: retrying later helps"],
  ["429 quota", "quota: out of credit or budget: retrying does not help"],
  ["TTFT p50", `Time to first token: from the request's head to the first generated output of any kind. ${N}`],
  ["TTFT p95", "Time to first token, 95th percentile"],
  ["TTFT p99", "Time to first token, 99th percentile; of fewer than a hundred, the longest"],
  ["TPOT p50", `Time per output token after the first event: (last token − first token) ÷ (streamed tokens − those in the first event). ${N}`],
  ["TPOT p95", "Time per output token, 95th percentile"],
  ["Stall p95", `The longest gap between two token events of an exchange, 95th percentile. ${N}`],
  ["Tokens in", "Input tokens, cached ones included; over the exchanges that know them"],
  ["Tokens out", "Output tokens, reasoning included; over the exchanges that know them"],
  ["Price", "Sum of the known prices; an exchange without a price is left out"],
];

const capital = (word) => word[0].toUpperCase() + word.slice(1);

function groupRow(by, group) {
  const q = (member) => group.latency[member] ?? {};
  const timed = (member, p) =>
    cell(ms(q(member)[p]), { title: `over ${whole(q(member).count)} exchanges${q(member).sampled ? `, from a sample of ${whole(q(member).sampled)}` : ""}` });
  const { tokens, price, outcomes } = group;
  const names = by.map((dimension) => group.by[dimension] ?? `no ${dimension}`).join(" · ");
  return el("tr", {},
    el("th", { scope: "row", title: names }, names),
    cell(whole(group.count)),
    cell(share(failed(group), judged(group)), { class: failed(group) ? "badnumber" : null, title: `${whole(failed(group))} of ${whole(judged(group))}` }),
    cell(whole(outcomes.rate_limit), { class: outcomes.rate_limit ? "badnumber" : null }),
    cell(whole(outcomes.quota), { class: outcomes.quota ? "badnumber" : null }),
    timed("ttft_ms", "p50"), timed("ttft_ms", "p95"), timed("ttft_ms", "p99"),
    timed("tpot_ms", "p50"), timed("tpot_ms", "p95"), timed("stall_ms", "p95"),
    cell(compact(tokens.input.sum), { title: `over ${whole(tokens.input.exchanges)} exchanges` }),
    cell(compact(tokens.output.sum), { title: `over ${whole(tokens.output.exchanges)} exchanges` }),
    cell(usd(price.usd), { title: `${known(price.usd) ? `$${price.usd} ` : ""}over ${whole(price.priced)} exchanges, ${whole(price.unpriced)} without a price` }),
  );
}

function showGroups(summary) {
  const by = summary.group_by;
  $("groups-title").textContent = `By ${by.join(" and ")}`;
  fill($("groups"), [[[capital(by.join(" · ")), "What the exchanges of a row have in common", text], ...GROUP_HEADS]],
    summary.groups.map((group) => groupRow(by, group)), "No exchange ended in this window.");
  const notes = [];
  if (summary.merged_groups) notes.push(`The smallest ${whole(summary.merged_groups)} groups are merged into “other”.`);
  if (summary.overflow_records) notes.push(`${whole(summary.overflow_records)} exchanges are counted as “other”: there were more distinct names than limpid keeps.`);
  $("groups-note").textContent = notes.join(" ");
}

function showErrors(total) {
  const rows = total.reasons.filter((r) => r.category !== "ok").map((r) => el("tr", {},
    el("th", { scope: "row", title: r.reason }, el("i", { class: `dot ${GROUP_OF[r.category]}`, "aria-hidden": "true" }), r.reason),
    cell(r.category, text), cell(whole(r.count)), cell(share(r.count, total.count))));
  fill($("errors"), [[
    ["Reason", "The most specific cause that is known", text],
    ["Category", "One of limpid's closed list of outcomes", text],
    ["Exchanges", "Exchanges that ended so"],
    ["Share", "Of all exchanges in the window, those whose client left included"],
  ]], rows, total.count ? "Every exchange of this window ended ok." : "No exchange ended in this window.");
}

const LATENCIES = [
  ["ttft_ms", "TTFT", "Time to first token: from the request's head to the first generated output of any kind"],
  ["upstream_ttft_ms", "TTFT, upstream", "The upstream's part of it: from the request's start upstream to the first token"],
  ["first_content_ms", "First content", "From the request's head to the first visible text; reasoning is not"],
  ["first_byte_ms", "First byte", "From the request's head to the first byte of the response's body"],
  ["tpot_ms", "TPOT", "Time per output token after the first event"],
  ["stall_ms", "Stall", "The longest gap between two token events of an exchange"],
  ["output_tokens_per_s", "Output speed", "Streamed output tokens per second, from the first token to the last, of one exchange"],
  ["total_ms", "Total", "From the request's head to the response's end; failed exchanges are in it"],
  ["queue_ms", "Queue", "The wait for a permit"],
  ["reader_lag_ms", "Reader lag", "For how long the response waited for a slow client"],
  ["overhead_ms", "Overhead", "What limpid itself took before the request went upstream, waits for permit and connection left out"],
];

function showLatencies({ latency }) {
  const rows = LATENCIES.map(([member, name, title]) => {
    const q = latency[member];
    const value = (x) => (member.endsWith("_ms") ? ms(x) : known(x) ? `${digits(x)}/s` : DASH);
    const sampled = q.sampled ? `percentiles from a sample of ${whole(q.sampled)}` : null;
    return el("tr", {}, el("th", { scope: "row", title }, name), cell(whole(q.count), { title: sampled }),
      cell(value(q.p50)), cell(value(q.p90)), cell(value(q.p95)), cell(value(q.p99)));
  });
  fill($("latencies"), [[
    ["", "", text], ["Exchanges", "Those in which the number is known; the percentiles are over them"],
    ["p50", "Half are at most this"], ["p90", "90 % are at most this"], ["p95", "95 % are at most this"],
    ["p99", "99 % are at most this; of fewer than a hundred, the longest"],
  ]], rows, "");
}

function showSources(total) {
  const row = (name, title, count, all) =>
    el("tr", {}, el("th", { scope: "row", title }, name), cell(whole(count)), cell(share(count, all)));
  const heads = (first, title, of) => [[[first, title, text], ["Exchanges", "How many"], ["Share", of]]];
  const all = "Of all exchanges in the window";
  const { refusals, usage, price, count } = total;
  fill($("refusals"), heads("Verdict", "Whether the reply was a refusal. Most refusals are a 200, so this is apart from the outcome", all), [
    row("certain", "The reply's structure says so: a refusal field, a finish reason, a filter result", refusals.certain, count),
    row("suspected", "The text reads like one", refusals.suspected, count),
    row("none", "No sign of one", refusals.none, count),
  ]);
  const counted = price.priced + price.unpriced;
  fill($("sources"), heads("Known from", "Where token counts and prices come from", all), [
    row("tokens reported", "The backend's reply says so", usage.reported, count),
    row("tokens exact", "Counted from the reply without doubt", usage.exact, count),
    row("tokens estimated", "limpid's estimate", usage.estimated, count),
    row("no token counts", "These exchanges are in no sum of tokens", usage.absent, count),
    row("no price", "Token counts are known and a price is not: the sum of prices lacks them. Share of those with token counts", price.unpriced, counted),
  ]);
}

// ---- tiles -----------------------------------------------------------------------------------------------------------

// The busiest two kinds of API, and how many more there are, so that what is told sums to the total.
function endpoints({ total, by_endpoint }) {
  const busiest = Object.entries(by_endpoint).sort((a, b) => b[1] - a[1]).slice(0, 2);
  const others = total - busiest.reduce((n, [, count]) => n + count, 0);
  return [...busiest.map(([name, n]) => `${whole(n)} ${name}`), others > 0 && `${whole(others)} more`].filter(Boolean).join(", ") || "none";
}

function showTiles(total, about) {
  const { tokens, price, latency, refusals, usage } = total;
  const ttft = latency.ttft_ms, tpot = latency.tpot_ms;
  const rate = (x) => (known(x) ? digits(x) : DASH);
  const tiles = [
    ["Requests", "Exchanges that ended in the window, per second", [rate(total.per_s), "/s"], `${whole(total.count)} exchanges`],
    ["Success", "Exchanges that ended ok, of all but those whose client left", [share(total.outcomes.ok, judged(total))], `${whole(failed(total))} failed, ${whole(total.outcomes.cancelled)} client left`],
    ["TTFT p50", GROUP_HEADS[4][1], [ms(ttft.p50)], `p95 ${ms(ttft.p95)}, of ${whole(ttft.count)} with a token`],
    ["TPOT p50", GROUP_HEADS[7][1], [ms(tpot.p50)], `p95 ${ms(tpot.p95)}, of ${whole(tpot.count)} with two or more`],
    ["Output tokens", "Output tokens per second of the window, counted when their exchange ends", [rate(tokens.output.per_s), "tokens/s"], `${whole(usage.estimated)} estimated, ${whole(usage.absent)} without counts`],
    ["Price", `Sum of the known prices in the window${known(price.usd) ? `: $${price.usd}` : ""}`, [usd(price.usd)], price.unpriced ? `${whole(price.unpriced)} exchanges unpriced` : `over ${whole(price.priced)} exchanges`],
    ["Refusals", "Replies in which the model or a filter refused", [whole(refusals.certain), "certain"], `${whole(refusals.suspected)} suspected`],
    ["In flight", "Exchanges that have begun and not ended, now", [whole(about.in_flight.total), "now"], endpoints(about.in_flight)],
  ];
  $("tiles").replaceChildren(...tiles.map(([name, title, [value, unit], more]) => el("div", { title },
    el("dt", {}, name),
    el("dd", { class: "value" }, value, unit && value !== DASH ? el("small", {}, unit.startsWith("/") ? unit : ` ${unit}`) : null),
    el("dd", { class: "more" }, more))));
}

// ---- the tail --------------------------------------------------------------------------------------------------------

const TAIL_HEADS = [[
  ["Ended", "When the response ended, local time; newest first", text],
  ["Model", "The model that was asked for, else the one that answered", text],
  ["Endpoint", "The kind of API", text],
  ["Status", "The HTTP status that the client got"],
  ["Outcome", "Category and reason", text],
  ["TTFT", "Time to first token"], ["TPOT", "Time per output token"], ["Total", "From the request's head to the response's end"],
  ["Tokens in", "Input tokens; ≈ if limpid estimated them"], ["Tokens out", "Output tokens; ≈ if limpid estimated them"],
  ["Price", "The exchange's price"], ["Key", "The API key's name", text],
]];

function tailRow(r) {
  const { category, reason } = r.outcome;
  const refused = r.refusal.verdict !== "none";
  const kind = category === "ok" ? (refused ? "refused" : null) : category === "cancelled" ? "gone" : "failed";
  const about = r.usage?.source === "estimated" ? "≈ " : "";
  const count = (n) => cell(known(n) ? about + whole(n) : DASH);
  const paced = r.stream ? {} : { title: "Not a stream: what it holds came together" };
  const name = r.model?.requested ?? r.model?.responded ?? DASH;
  const open = el("button", { type: "button", "aria-haspopup": "dialog", title: "Show the whole record" },
    clock(Date.parse(r.started_at) + r.timing.total_ms));
  const row = el("tr", { class: kind, "data-id": r.id },
    el("td", text, open), cell(name, { class: "text capped", title: name }), cell(r.endpoint, text),
    cell(known(r.status) ? String(r.status) : DASH),
    cell(`${category === "ok" ? "ok" : category} · ${reason}${refused ? ` · refusal ${r.refusal.verdict}` : ""}`, { class: "text why", title: `ending: ${r.outcome.ending}` }),
    cell(ms(r.timing.ttft_ms), paced), cell(ms(r.timing.tpot_ms), paced), cell(ms(r.timing.total_ms)),
    count(r.usage?.input_tokens), count(r.usage?.output_tokens),
    cell(usd(r.price?.usd), { title: r.price ? `$${r.price.usd}` : r.unpriced }), cell(r.key ?? DASH, { class: "text capped" }));
  row.addEventListener("click", () => {
    $("record-title").textContent = `Exchange ${r.id}`;
    $("record-json").textContent = JSON.stringify(r, null, 2);
    $("record").showModal();
  });
  return row;
}

// Rows that stay are left alone, so that the focus on one of them stays too.
function showTail(exchanges) {
  const table = $("tail");
  if (!table.tBodies.length || !table.querySelector("[data-id]")) fill(table, TAIL_HEADS, [], "No exchange has ended yet. Point a client's base URL at limpid's data listener.");
  if (!exchanges.length) return;
  const body = table.tBodies[0];
  const there = new Map([...body.rows].map((row) => [row.dataset.id, row]));
  const wanted = exchanges.map((r) => there.get(r.id) ?? tailRow(r));
  const keep = new Set(wanted);
  for (const row of [...body.rows]) if (!keep.has(row)) row.remove();
  wanted.forEach((row, i) => { if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null); });
}

// ---- polling ---------------------------------------------------------------------------------------------------------

let lastGood = null, timer, asked = 0;

async function get(path, parameters) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error?.message ?? `status ${response.status}`);
  body.points?.forEach((p) => { p.at = Date.parse(p.from); });
  return body;
}

function showState(about) {
  $("version").textContent = about.version;
  $("uptime").textContent = `up ${span(about.uptime_s)}`;
  $("upstreams").replaceChildren(...about.upstreams.map((u) => el("li", { title: `${u.address}:${u.port}` },
    u.name, " ", el("small", {}, [u.provider, u.region].filter(Boolean).join(", ")))));
  $("state").className = `state ${about.ready ? "live" : "draining"}`;
  $("state").textContent = about.ready ? "live" : "draining";
  const { dropped } = about.records;
  $("notice").hidden = dropped === 0;
  $("notice").className = "notice mild";
  if (dropped) $("notice").textContent = `${whole(dropped)} records were dropped since the start because the queue was full: they are in no number here.`;
}

function showStale(error) {
  document.body.classList.add("stale-numbers");
  $("state").className = "state stale";
  $("state").textContent = "stale";
  $("notice").className = "notice";
  $("notice").hidden = false;
  const old = lastGood ? `The numbers below are from ${clock(lastGood)}.` : "There are no numbers yet.";
  const told = `limpid does not answer (${error.message}). ${old} Trying again every ${EVERY_MS / 1000} s.`;
  // Written once, or a screen reader would read it out at each attempt.
  if ($("notice").textContent !== told) $("notice").textContent = told;
  $("uptime").textContent = lastGood ? `no answer for ${span((Date.now() - lastGood) / 1000)}` : "";
}

async function refresh() {
  clearTimeout(timer);
  const mine = ++asked;
  const form = new FormData($("controls"));
  const window = form.get("window"), step = STEPS[window];
  try {
    const [about, summary, ttft, requests, recent] = await Promise.all([
      get("/api/v1/about", {}),
      get("/api/v1/summary", { window, group_by: form.get("group_by") }),
      get("/api/v1/series", { metric: "ttft", window, step }),
      get("/api/v1/series", { metric: "requests", window, step }),
      get("/api/v1/exchanges", { limit: TAIL }),
    ]);
    if (mine !== asked) return;
    lastGood = Date.now();
    document.body.classList.remove("stale-numbers");
    showState(about);
    showTiles(summary.total, about);
    $("span").textContent = `${clock(summary.window.from)} to ${clock(summary.window.to)}, ${span(summary.window.seconds)}`;
    showTtft(ttft);
    showOutcomes(requests);
    showGroups(summary);
    showErrors(summary.total);
    showLatencies(summary.total);
    showSources(summary.total);
    showTail(recent.exchanges);
  } catch (error) {
    if (mine !== asked) return;
    showStale(error);
  }
  timer = setTimeout(() => (document.hidden ? undefined : refresh()), EVERY_MS);
}

$("controls").addEventListener("change", refresh);
$("controls").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
$("record").addEventListener("click", (event) => { if (event.target === $("record")) $("record").close(); });
refresh();
