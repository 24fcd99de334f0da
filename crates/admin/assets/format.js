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

// Three figures, more for whole numbers; always as many, so that the digits of a column stand below each other.
export function digits(x) {
  if (x === 0) return "0";
  const n = x < 10 ? 2 : x < 100 ? 1 : 0;
  return x.toLocaleString("en", { minimumFractionDigits: n, maximumFractionDigits: n });
}

export function ms(x) {
  if (!known(x)) return DASH;
  if (x > 0 && x < 0.9995) return `${digits(x * 1000)} µs`;
  if (x >= 60000) return `${digits(x / 60000)} min`;
  return x >= 999.5 ? `${digits(x / 1000)} s` : `${digits(x)} ms`;
}

export function share(part, all) {
  if (!(all > 0)) return DASH;
  const percent = (100 * part) / all;
  // Never rounded to a whole that it is not: one failure in 100,000 is not 100 % success.
  const shown = percent > 99.9 && part !== all ? Math.floor(percent * 1000) / 1000 : percent;
  return `${part === 0 || part === all ? upTo(percent, 0) : percent > 99.9 ? upTo(shown, 3) : digits(percent)} %`;
}

export function compact(x) {
  if (!known(x)) return DASH;
  if (x >= 999500) return `${digits(x / 1e6)} M`;
  return x >= 9999.5 ? `${digits(x / 1e3)} k` : whole(x);
}

export function usd(text) {
  if (!known(text)) return DASH;
  const x = Number(text);
  if (x === 0) return "$0";
  if (x >= 1) return `$${x.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return `$${x.toFixed(20).match(/^0\.0*\d{0,3}/)[0].replace(/0+$/, "")}`;
}

export function span(seconds) {
  const s = Math.floor(seconds);
  const parts = [[Math.floor(s / 86400), "d"], [Math.floor(s / 3600) % 24, "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([n]) => n > 0);
  return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([n, unit]) => `${n} ${unit}`).join(" ");
}

export const clock = (at, options) => new Date(at).toLocaleTimeString("en-GB", options);
