// The two charts, as inline SVG.

import { $, clock, el, known, make, ms, svg, upTo, whole } from "/assets/format.js";

// How the categories of outcomes are drawn: class, label, definition, members.
const GROUPS = [
  ["ok", "ok", "The reply came whole", ["ok"]],
  ["cancelled", "client left", "The client went away before the end", ["cancelled"]],
  ["client", "client error", "The request was at fault: client_request, auth", ["client_request", "auth"]],
  ["limited", "429", "rate_limit (try later) and quota (out of credit)", ["rate_limit", "quota"]],
  ["server", "5xx", "overloaded, unavailable, upstream_error", ["overloaded", "unavailable", "upstream_error"]],
  ["transport", "connection", "network, timeout, stream_error", ["network", "timeout", "stream_error"]],
  ["policy", "policy", "A content filter stopped the request", ["policy"]],
  ["limpid", "limpid", "limpid itself answered: rejected, internal", ["rejected", "internal"]],
];
export const GROUP_OF = Object.fromEntries(GROUPS.flatMap(([name, , , categories]) => categories.map((c) => [c, name])));

const LEFT = 52, RIGHT = 8, TOP = 6, BOTTOM = 20;

function ticksTo(most) {
  const raw = most / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => i * step);
}

// Where the pointer rests on a plot, so that a new drawing under it keeps its reading.
const pointers = new Map();

// Draws the frame; `content(x, y, wide)` gives the marks. Tells `say` the step under the pointer.
function chart(plot, series, most, unit, label, content, say) {
  const width = Math.max(plot.clientWidth, 240), height = Math.max(plot.clientHeight, 120);
  const begin = Date.parse(series.window.from), end = Math.max(Date.parse(series.window.to), begin + 1000);
  const x = (at) => LEFT + ((at - begin) / (end - begin)) * (width - LEFT - RIGHT);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  const ticks = ticksTo(most > 0 ? most : 1);
  const y = (v) => height - BOTTOM - (v / ticks.at(-1)) * (height - TOP - BOTTOM);
  for (const tick of ticks) {
    root.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }));
    if (most > 0) root.append(svg("text", { x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, unit(tick)));
  }
  const short = (end - begin) < 600000;
  for (let i = 0; i <= 4; i++) {
    const at = begin + ((end - begin) * i) / 4;
    root.append(svg("text", { x: x(at), y: height - 4, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle" },
      clock(at, { hour: "2-digit", minute: "2-digit", second: short ? "2-digit" : undefined })));
  }
  if (most > 0) root.append(...content(x, y));
  else root.append(svg("text", { class: "empty", x: (LEFT + width) / 2, y: height / 2 - 8, "text-anchor": "middle" }, "nothing to show in this window"));
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  root.append(cursor);
  const point = (offset) => {
    const at = begin + ((offset - LEFT) / (width - LEFT - RIGHT)) * (end - begin);
    const found = series.points.find((p) => at < p.at + p.seconds * 1000) ?? series.points.at(-1);
    if (!found) return;
    const middle = x(found.at + found.seconds * 500);
    make(cursor, { x1: middle, x2: middle, visibility: "visible" }, []);
    say(found);
  };
  root.addEventListener("pointermove", (event) => { pointers.set(plot, event.offsetX); point(event.offsetX); });
  root.addEventListener("pointerleave", () => { pointers.delete(plot); cursor.setAttribute("visibility", "hidden"); say(null); });
  plot.replaceChildren(root);
  say(null);
  if (pointers.has(plot)) point(pointers.get(plot));
}

const swatch = (name, ...words) => el("span", { class: name }, el("i", { "aria-hidden": "true" }), el("b", {}, ...words));

const axis = (x) => (x === 0 ? "0" : x >= 1000 ? `${upTo(x / 1000, 2)} s` : `${upTo(x, 3)} ms`);

export function showTtft(series) {
  const names = ["p50", "p95", "p99"];
  const most = Math.max(0, ...series.points.map((p) => p.p99 ?? 0));
  const say = (p) => $("ttft-legend").replaceChildren(
    ...names.map((name) => swatch(name, p ? `${name} ${ms(p[name])}` : name)),
    el("span", {}, p ? `${clock(p.at)} · ${whole(p.count)} exchanges in ${upTo(p.seconds, 1)} s` : `a point each ${upTo(series.step_s, 0)} s`));
  const line = (name, x, y) => {
    let path = "", dots = [];
    series.points.forEach((p, i) => {
      if (!known(p[name])) return;
      const [px, py] = [x(p.at + p.seconds * 500), y(p[name])];
      const before = known(series.points[i - 1]?.[name]), after = known(series.points[i + 1]?.[name]);
      path += `${before ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`;
      if (!before && !after) dots.push(svg("circle", { class: name, cx: px, cy: py, r: 2.5 }));
    });
    return [svg("path", { class: name, d: path }), ...dots];
  };
  const label = `Time to first token over time: p50, p95 and p99. The longest p99 of a step is ${ms(most || undefined)}.`;
  chart($("ttft-plot"), series, most, axis, label, (x, y) => [...names].reverse().flatMap((name) => line(name, x, y)), say);
}

export function showOutcomes(series) {
  const sum = (p, categories) => categories.reduce((n, c) => n + p.outcomes[c], 0);
  // Counts, not rates: the first and the last step are shorter, and one exchange in the last one's first moment would be a
  // peak that never was. Their bars are narrower, and the last one grows.
  const most = Math.max(0, ...series.points.map((p) => p.count));
  const seen = GROUPS.filter(([name, , , c]) => name === "ok" || series.points.some((p) => sum(p, c) > 0));
  const say = (p) => $("outcome-legend").replaceChildren(
    ...seen.map(([name, label, title, categories]) => {
      const entry = swatch(name, p ? `${label} ${whole(sum(p, categories))}` : label);
      entry.title = title;
      return entry;
    }),
    el("span", {}, p ? `${clock(p.at)} · ${upTo(p.seconds, 1)} s` : `exchanges in each ${upTo(series.step_s, 0)} s`));
  const bars = (x, y) => series.points.flatMap((p) => {
    let below = 0;
    const left = x(p.at), width = Math.max(x(p.at + p.seconds * 1000) - left - 1, 1);
    return GROUPS.map(([name, , , categories]) => {
      const n = sum(p, categories);
      if (n === 0) return null;
      const top = y(below + n), height = Math.max(y(below) - top, 1);
      below += n;
      return svg("rect", { class: name, x: left.toFixed(1), y: top.toFixed(1), width: width.toFixed(1), height: height.toFixed(1) });
    }).filter(Boolean);
  });
  const label = `Exchanges by outcome in each ${upTo(series.step_s, 0)} s. The busiest step has ${whole(most)}.`;
  chart($("outcome-plot"), series, most, (v) => (Number.isInteger(v) ? whole(v) : ""), label, bars, say);
}
