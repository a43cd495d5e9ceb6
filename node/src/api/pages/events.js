// What happened: a strip of time, and sentences, by kind.
import { Deltas } from "./deltas.js";
import { card, clock, empty, h, put, s } from "./format.js";

const KEPT_MAX = 1000;
const SHOWN_MAX = 300;
const KINDS = ["peers", "training", "snapshot", "checkpoint", "trust", "device", "control"];
const STRIP = [1000, 34];
const TALL = { info: 8, warning: 12, error: 16 };
const tick = (x, level) => s("line", { x1: x, x2: x, y1: STRIP[1] / 2 - TALL[level], y2: STRIP[1] / 2 + TALL[level], class: level });

export class Events {
  constructor(root, fetchJson) {
    this.entries = [];
    this.kinds = new Set();
    this.level = false;
    const chip = (label, act) => h("button", { class: "chip", type: "button", "aria-pressed": "false", onclick: (event) => {
      const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
      event.currentTarget.setAttribute("aria-pressed", String(on));
      act(on);
      this.draw();
    } }, label);
    this.search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search events", oninput: () => this.draw() });
    const chips = h("div", { class: "chips", role: "group", "aria-label": "Kinds" },
      KINDS.map((kind) => chip(kind, (on) => (on ? this.kinds.add(kind) : this.kinds.delete(kind)))), chip("warnings only", (on) => { this.level = on; }));
    this.strip = s("svg", { class: "strip", viewBox: `0 0 ${STRIP[0]} ${STRIP[1]}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.span = h("p", { class: "quiet num" });
    this.list = h("ol", { class: "log", reversed: true });
    this.none = empty("Nothing has happened yet", "Peers that come and go, epochs, refusals and what was asked of this peer stand here.");
    root.append(h("div", { class: "tools" }, chips, this.search), card("Time line", this.span, this.strip), card("Events", null, this.list, this.none));
    this.deltas = new Deltas(root, fetchJson);
  }

  add(entry) {
    // A stream that was opened anew says again what is known.
    const last = this.entries[this.entries.length - 1];
    if (last && entry.seq <= last.seq) return false;
    this.entries.push(entry);
    if (this.entries.length > KEPT_MAX) this.entries.shift();
    if (this.visible && !this.due) {
      this.due = true;
      requestAnimationFrame(() => { this.due = false; this.draw(); });
    }
    return true;
  }

  clear() {
    this.entries = [];
    this.deltas.clear();
    this.draw();
  }

  show(visible) {
    this.visible = visible;
    this.deltas.show(visible);
    if (visible) this.draw();
  }

  draw() {
    const wanted = this.search.value.trim().toLowerCase();
    const shown = this.entries.filter((entry) => (this.kinds.size === 0 || this.kinds.has(entry.kind))
      && (!this.level || entry.level !== "info") && (!wanted || entry.text.toLowerCase().includes(wanted) || (entry.peer || "").includes(wanted)));
    this.none.hidden = shown.length > 0;
    this.none.firstChild.textContent = this.entries.length ? "Nothing of that kind" : "Nothing has happened yet";
    this.list.replaceChildren(...shown.slice(-SHOWN_MAX).reverse().map((entry) => h("li", { class: entry.level },
      h("time", { class: "quiet num", datetime: new Date(entry.time_ms).toISOString() }, clock(entry.time_ms)),
      h("span", { class: "tag" }, entry.level === "info" ? entry.kind : `${entry.kind}, ${entry.level}`), h("span", { class: "text" }, entry.text))));
    this.line(shown);
  }

  line(shown) {
    const [width, height] = STRIP;
    const first = shown.length ? shown[0].time_ms : 0;
    const span = Math.max(1, (shown.length ? shown[shown.length - 1].time_ms : 0) - first);
    put(this.span, shown.length ? `${clock(first)} to ${clock(first + span)}, ${shown.length} events` : "");
    this.strip.replaceChildren(s("line", { x1: 0, x2: width, y1: height / 2, y2: height / 2 }),
      ...shown.slice(-SHOWN_MAX).map((entry) => tick(6 + ((entry.time_ms - first) / span) * (width - 12), entry.level)));
  }
}
