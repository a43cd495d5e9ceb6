// Numbers as people read them, and a small way to make elements.

const DASH = "–";

const UNDER_WAY = 32;
const UNDER_WAY_S = 10;

/** Deltas that a peer may lack before it is said to be behind: those of ten seconds are under way in a lively swarm, hundreds with a small model. */
export const lagMax = ({ gossip, uptime_s: up }) => UNDER_WAY + (UNDER_WAY_S * (gossip.deltas_said + gossip.deltas_heard)) / Math.max(1, up);

export const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : DASH);

/** Three significant digits, as 0.123, 12.3, 123; tiny ones as 1.2e-5. */
export function short(value) {
  if (!Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3) return value.toExponential(1);
  return size < 1 ? value.toFixed(3) : size < 10 ? value.toFixed(2) : size < 100 ? value.toFixed(1) : value.toFixed(0);
}

const PREFIXES = ["", "k", "M", "G", "T"];

/** [1.2, "k"]: powers of 1000. */
function scaled(value) {
  let step = 0;
  while (Math.abs(value) >= 999.5 && step + 1 < PREFIXES.length) {
    value /= 1000;
    step += 1;
  }
  return [step === 0 ? String(Math.round(value)) : value.toFixed(Math.abs(value) >= 99.95 ? 0 : 1), PREFIXES[step]];
}

export function count(value) {
  if (!Number.isFinite(value)) return DASH;
  if (Math.abs(value) < 10000) return String(Math.round(value));
  const [number, prefix] = scaled(value);
  return number + prefix;
}

export function bytes(value) {
  if (!Number.isFinite(value)) return DASH;
  const [number, prefix] = scaled(value);
  return `${number} ${prefix}B`;
}

export function percent(share) {
  return Number.isFinite(share) ? (100 * share).toFixed(1) : DASH;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour12: false });

export const name = (id) => (id || "").slice(0, 8);

const SVG = "http://www.w3.org/2000/svg";

function make(node, properties, children) {
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.setAttribute("class", value);
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element; children are elements or text, never markup. */
export const h = (tag, properties, ...children) => make(document.createElement(tag), properties, children);

/** The same for SVG. */
export const s = (tag, properties, ...children) => make(document.createElementNS(SVG, tag), properties, children);

/** Changes text only where it is another: nothing is laid out again for nothing. */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const card = (title, note, ...children) =>
  h("div", { class: "card" }, title && h("header", {}, h("h2", {}, title), note), ...children);

export const empty = (title, text) => h("p", { class: "empty" }, h("b", {}, title), text);
