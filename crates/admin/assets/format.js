// Making nodes, and writing numbers with their units. An absent number is a dash, never 0. Text goes in as text nodes, never
// as markup, for names of models and keys come from clients.

export const DASH = "–";
export const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

export function make(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
export const el = (name, attributes, ...children) => make(document.createElement(name), attributes, children);
export const svg = (name, attributes, ...children) => make(document.createElementNS(SVG, name), attributes, children);

export const known = (x) => x !== undefined && x !== null;
export const whole = (x) => (known(x) ? x.toLocaleString("en") : DASH);
export const upTo = (x, digits) => x.toLocaleString("en", { maximumFractionDigits: digits });

export function digits(x) {
  return upTo(x, x < 10 ? 2 : x < 100 ? 1 : 0);
}

export function ms(x) {
  if (!known(x)) return DASH;
  if (x >= 60000) return `${upTo(x / 60000, 1)} min`;
  return x >= 1000 ? `${upTo(x / 1000, 2)} s` : `${digits(x)} ms`;
}

export function share(part, all) {
  return all > 0 ? `${upTo((100 * part) / all, part / all > 0.1 && part !== all ? 1 : 2)} %` : DASH;
}

export function compact(x) {
  if (!known(x)) return DASH;
  if (x >= 1e6) return `${upTo(x / 1e6, 2)} M`;
  return x >= 1e4 ? `${upTo(x / 1e3, 1)} k` : whole(x);
}

export function usd(text) {
  if (!known(text)) return DASH;
  const x = Number(text);
  if (x === 0) return "$0";
  return x >= 1 ? `$${upTo(x, 2)}` : `$${x.toFixed(20).match(/^0\.0*\d{0,3}/)[0].replace(/0+$/, "")}`;
}

export function span(seconds) {
  const s = Math.floor(seconds);
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

export const clock = (at, options) => new Date(at).toLocaleTimeString("en-GB", options);
