// What the shared model has learnt: a picture and a histogram of every tensor, from a copy of the base.
import { card, count, empty, h, name, put, short } from "./format.js";

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
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.cards.forEach((one) => paint(one)));
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
      put(this.about, `base ${name(model.base_hash)}, step ${count(model.steps)}, ${count(model.samples)} samples of the swarm`);
      for (const tensor of model.tensors) {
        if (!this.visible) return;
        await this.tensor(tensor);
      }
      this.state.hidden = true;
    } catch (error) {
      this.state.hidden = this.cards.size > 0;
      this.state.replaceChildren(h("b", {}, "No picture of the model"), String(error.message || error));
    } finally {
      this.busy = false;
      if (this.visible && this.live.getAttribute("aria-pressed") === "true") this.timer = setTimeout(() => this.refresh(), EVERY_MS);
    }
  }

  async tensor(tensor) {
    const picture = await this.fetchJson(`/v1/model/${tensor.index}`);
    let one = this.cards.get(tensor.index);
    if (!one) {
      one = { note: h("p", { class: "quiet num" }), bars: h("div", { class: "bars", "aria-hidden": "true" }), low: h("span"), high: h("span"), middle: h("span"), canvases: [] };
      one.picture = h("div", { class: picture.kind === "filters" ? "tiles" : "matrix", role: "img" });
      const box = card(tensor.name, one.note, one.picture, one.bars, h("div", { class: "ends" }, one.low, one.middle, one.high));
      if (picture.kind === "filters") box.classList.add("large");
      this.layers.append(box);
      this.cards.set(tensor.index, one);
    }
    const shape = tensor.shape.join(" × ");
    const part = picture.units > picture.tiles && picture.kind === "filters" ? `, the first ${picture.tiles} units` : "";
    put(one.note, `${shape}${part}`);
    one.picture.setAttribute("aria-label", `Weights of ${tensor.name}, ${shape}: mean ${short(tensor.mean)}, deviation ${short(tensor.deviation)}`);
    Object.assign(one, { data: picture, cells: decode(picture.cells) });
    paint(one);
    histogram(one, tensor);
  }
}

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

function histogram(one, tensor) {
  const most = Math.max(1, ...tensor.histogram);
  while (one.bars.children.length < tensor.histogram.length) one.bars.append(h("i"));
  tensor.histogram.forEach((value, i) => {
    one.bars.children[i].style.height = value ? `${Math.max(2, 100 * Math.sqrt(value / most))}%` : "0";
  });
  put(one.low, short(-tensor.range));
  put(one.middle, `mean ${short(tensor.mean)}, deviation ${short(tensor.deviation)}`);
  put(one.high, short(tensor.range));
}
