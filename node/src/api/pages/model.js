// What the shared model has learnt: a picture and a histogram of every tensor, from a copy of the base, and of this peer's last gradient.
import { card, count, empty, h, name, put, short } from "./format.js";
import { Judge } from "./judge.js";

const EVERY_MS = 3000;

export class Model {
  constructor(root, fetchJson) {
    this.fetchJson = fetchJson;
    this.cards = new Map();
    this.about = h("p", { class: "quiet num" }, "");
    this.live = h("button", { class: "chip", type: "button", "aria-pressed": "true", onclick: () => this.toggle() }, "Live");
    this.layers = h("div", { class: "layers" });
    this.state = empty("The model is being copied", "The learner does that between two steps.");
    root.append(h("div", { class: "tools" }, this.live, h("span", { class: "scale" }, "−", h("i"), "+"), this.about), this.state, this.layers);
    this.judge = new Judge(root, fetchJson);
    this.texts = h("ol", { class: "texts" });
    this.unwritten = empty("It has written nothing yet", "After evaluations it writes a few lines, with the same draws each time.");
    this.said = card("What it writes, after evaluations", h("p", { class: "quiet" }, "The same draws each time: what differs is the model."), this.texts, this.unwritten);
    root.append(this.said);
    // Which of the two there is, depends on the kind of the model.
    this.said.hidden = true;
    this.judge.card.hidden = true;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cards.forEach((one) => { paint(one); one.parts.forEach(ridge); }));
  }

  status({ run }) {
    const writes = run.model === "lm";
    this.said.hidden = !writes;
    this.judge.card.hidden = writes;
  }

  clear() {
    this.cards.clear();
    this.layers.replaceChildren();
    this.texts.replaceChildren();
    this.judge.clear();
    put(this.about, "");
    this.state.hidden = false;
    this.state.replaceChildren(h("b", {}, "The model is being copied"), "The learner does that between two steps.");
  }

  show(visible) {
    this.visible = visible;
    if (visible) this.refresh();
    else clearTimeout(this.timer);
  }

  toggle() {
    const on = this.live.getAttribute("aria-pressed") !== "true";
    this.live.setAttribute("aria-pressed", String(on));
    if (on) this.refresh();
  }

  async refresh() {
    clearTimeout(this.timer);
    if (!this.visible || this.busy) return;
    this.busy = true;
    try {
      const model = await this.fetchJson("/v1/model");
      const slopes = model.gradient_steps === null ? "" : `, gradients of this peer's step ${count(model.gradient_steps)}`;
      put(this.about, `base ${name(model.base_hash)}, step ${count(model.steps)}, ${count(model.samples)} samples of the swarm${slopes}`);
      for (const tensor of model.tensors) {
        if (!this.visible) return;
        await this.tensor(tensor, model);
      }
      this.state.hidden = true;
      await this.written(model);
    } catch (error) {
      this.state.hidden = this.cards.size > 0;
      this.state.replaceChildren(h("b", {}, "No picture of the model"), String(error.message || error));
    } finally {
      this.busy = false;
      if (this.visible && this.live.getAttribute("aria-pressed") === "true") this.timer = setTimeout(() => this.refresh(), EVERY_MS);
    }
  }

  async written(model) {
    if (this.said.hidden) return;
    const texts = await this.fetchJson("/v1/texts");
    this.unwritten.hidden = texts.length > 0;
    const large = tooLarge(model);
    if (large) this.unwritten.replaceChildren(h("b", {}, "No texts are kept"), large);
    this.texts.replaceChildren(...texts.slice().reverse().map((one) => h("li", {},
      h("span", { class: "tag num" }, `epoch ${one.epoch}, step ${count(one.steps)}`), h("pre", {}, one.text.trimStart()))));
  }

  async tensor(tensor, model) {
    const [picture, past] = await Promise.all([this.fetchJson(`/v1/model/${tensor.index}`), this.fetchJson(`/v1/model/${tensor.index}/past`)]);
    let one = this.cards.get(tensor.index);
    if (!one) {
      one = { note: h("p", { class: "quiet num" }), parts: [part("weights"), part("gradients")], canvases: [] };
      one.picture = h("div", { class: picture.kind === "filters" ? "tiles" : "matrix", role: "img" });
      const box = card(tensor.name, one.note, one.picture, h("div", { class: "parts" }, one.parts.map((part) => part.box)));
      if (picture.kind === "filters") box.classList.add("large");
      this.layers.append(box);
      this.cards.set(tensor.index, one);
    }
    const shape = tensor.shape.join(" × ");
    const only = picture.units > picture.tiles && picture.kind === "filters" ? `, the first ${picture.tiles} units` : "";
    put(one.note, `${shape}${only}`);
    one.picture.setAttribute("aria-label", `Weights of ${tensor.name}, ${shape}: mean ${short(tensor.mean)}, deviation ${short(tensor.deviation)}`);
    Object.assign(one, { data: picture, cells: decode(picture.cells) });
    paint(one);
    const [weights, gradients] = one.parts;
    histogram(weights, tensor);
    const none = tensor.index < model.noted.tensors_max ? "over time: from the second evaluation on" : `over time: of the first ${model.noted.tensors_max} tensors`;
    Object.assign(weights, { history: past, none: tooLarge(model) || none });
    ridge(weights);
    histogram(gradients, tensor.gradient);
    Object.assign(gradients, { history: past.gradients, none: tooLarge(model) || (tensor.gradient ? none : "seen while it trains: none yet") });
    ridge(gradients);
  }
}

/** Why nothing of the past is kept, if nothing is. */
const tooLarge = ({ parameters, noted }) => (parameters > noted.parameters_max
  ? `Histograms over time and texts are kept of models of at most ${noted.parameters_max.toLocaleString("en")} parameters; this one has ${parameters.toLocaleString("en")}.` : null);

function decode(text) {
  const raw = atob(text);
  const cells = new Int8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) cells[i] = raw.charCodeAt(i);
  return cells;
}

const rgb = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim().split(/\s+/).map(Number);

function paint(one) {
  const { width, height, tiles } = one.data;
  if (!one.cells || !width || !height) return;
  while (one.canvases.length < tiles) {
    const canvas = h("canvas", { width, height });
    one.canvases.push(canvas);
    one.picture.append(canvas);
  }
  const [minus, zero, plus] = [rgb("--minus"), rgb("--zero"), rgb("--plus")];
  one.canvases.forEach((canvas, tile) => {
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i += 1) {
      const value = one.cells[tile * width * height + i] / 127;
      // A root shows small weights, too: most are.
      const share = Math.sqrt(Math.abs(value));
      const end = value < 0 ? minus : plus;
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = zero[c] + share * (end[c] - zero[c]);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  });
}

/** A histogram of one kind of numbers, now and over time. */
function part(what) {
  const one = { what, bars: h("div", { class: `bars ${what}`, "aria-hidden": "true" }), low: h("span"), high: h("span"), middle: h("span"), past: h("canvas", { class: "past", role: "img" }), when: h("p", { class: "quiet num when" }) };
  one.now = [one.bars, h("div", { class: "ends" }, one.low, one.middle, one.high)];
  one.box = h("div", { class: "part" }, h("h3", {}, what), one.now, one.past, one.when);
  return one;
}

function histogram(one, tensor) {
  one.now.forEach((node) => { node.hidden = !tensor; });
  if (!tensor) return;
  const most = Math.max(1, ...tensor.histogram);
  while (one.bars.children.length < tensor.histogram.length) one.bars.append(h("i"));
  tensor.histogram.forEach((value, i) => {
    one.bars.children[i].style.height = value ? `${Math.max(2, 100 * Math.sqrt(value / most))}%` : "0";
  });
  put(one.low, short(-tensor.range));
  put(one.middle, `mean ${short(tensor.mean)}, deviation ${short(tensor.deviation)}`);
  put(one.high, short(tensor.range));
}

/** Gradients shrink by orders of magnitude while a model learns: upwards stands a root of them, this one. */
const ROOT = { weights: 1, gradients: 4 };

/** Histograms over time: a column a note, values upwards, the darker the more of them. */
function ridge(one) {
  if (!one.history) return;
  const { counts, range, steps } = one.history;
  one.past.hidden = counts.length < 2;
  if (one.past.hidden) {
    put(one.when, one.none);
    return;
  }
  const [columns, rows] = [counts.length, counts[0].length];
  Object.assign(one.past, { width: columns, height: rows });
  const widest = Math.max(...range, Number.MIN_VALUE);
  const [zero, plus] = [rgb("--zero"), rgb("--minus")];
  const context = one.past.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let x = 0; x < columns; x += 1) {
    const most = Math.max(1, ...counts[x]);
    for (let y = 0; y < rows; y += 1) {
      // The place of this row in the histogram of that moment, whose range was another.
      const place = 1 - (2 * (y + 0.5)) / rows;
      const value = Math.sign(place) * Math.abs(place) ** ROOT[one.what] * widest;
      const bar = Math.floor(((value / Math.max(range[x], Number.MIN_VALUE) + 1) / 2) * rows);
      const share = bar < 0 || bar >= rows ? 0 : Math.sqrt(counts[x][bar] / most);
      for (let c = 0; c < 3; c += 1) image.data[4 * (y * columns + x) + c] = zero[c] + share * (plus[c] - zero[c]);
      image.data[4 * (y * columns + x) + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  put(one.when, `over time: step ${count(steps[0])} to ${count(steps[columns - 1])}, from ${short(-widest)} to ${short(widest)}${ROOT[one.what] > 1 ? ", fourth roots upwards" : ""}`);
  one.past.setAttribute("aria-label", `Histograms of these ${one.what} from step ${count(steps[0])} to step ${count(steps[columns - 1])}`);
}
