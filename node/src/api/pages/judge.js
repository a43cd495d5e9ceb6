// What the shared model takes for what, when somebody asks, and the samples it is most wrongly sure of.
import { card, count, fixed, h, name, percent, put } from "./format.js";

const ABOUT = "From a copy of the shared model, beside training; at most every 5 seconds.";

export class Judge {
  constructor(root, fetchJson) {
    this.fetchJson = fetchJson;
    this.button = h("button", { class: "button", type: "button", onclick: () => this.refresh() }, "Look now");
    this.note = h("p", { class: "quiet num", role: "status" }, ABOUT);
    this.matrix = h("div", { class: "scroll" });
    this.wrong = h("div", { class: "wrong" });
    root.append(this.card = card("What is taken for what", this.button, this.note, this.matrix, this.wrong));
    this.card.classList.add("judge");
  }

  clear() {
    put(this.note, ABOUT);
    this.matrix.replaceChildren();
    this.wrong.replaceChildren();
  }

  async refresh() {
    this.button.disabled = true;
    try {
      const found = await this.fetchJson("/v1/confusion");
      const part = found.samples < found.test_samples ? `${count(found.samples)} of ${count(found.test_samples)}` : count(found.samples);
      put(this.note, `${part} test samples, accuracy ${percent(found.accuracy)} %, loss ${fixed(found.loss, 4)}, base ${name(found.model.base_hash)}, step ${count(found.model.steps)}`);
      this.matrix.replaceChildren(table(found));
      this.wrong.replaceChildren(...found.wrong.map(sample));
    } catch (error) {
      put(this.note, String(error.message || error));
    } finally {
      this.button.disabled = false;
    }
  }
}

function table({ confusion, classes }) {
  const head = h("tr", {}, h("th", { scope: "col", class: "left" }, "is, said:"), classes.map((one) => h("th", { scope: "col" }, one.name)), h("th", { scope: "col" }, "F1"));
  const rows = confusion.map((row, is) => {
    const all = Math.max(1, row.reduce((sum, value) => sum + value, 0));
    return h("tr", {}, h("th", { scope: "row" }, classes[is].name), row.map((value, said) => {
      const cell = h("td", { class: is === said ? "right" : value ? "off" : "nil" }, String(value));
      cell.style.setProperty("--share", `${Math.round(100 * Math.sqrt(value / all))}%`);
      return cell;
    }), h("td", {}, classes[is].f1 === null ? "–" : fixed(classes[is].f1, 2)));
  });
  return h("table", { class: "confusion" }, h("caption", { class: "quiet" }, "Rows are what a sample is, columns what the model says."), h("thead", {}, head), h("tbody", {}, rows));
}

function sample(one) {
  const words = `${one.is}, said ${one.said}`;
  const box = h("figure", {});
  if (one.picture) {
    const { width, height, channels, bytes } = one.picture;
    const raw = atob(bytes);
    const canvas = h("canvas", { width, height, role: "img", "aria-label": `test sample ${one.index}: ${words}` });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i += 1) {
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = raw.charCodeAt(channels === 3 ? 3 * i + c : i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    box.append(canvas);
  } else {
    box.append(h("p", { class: "mono" }, one.values.map((value) => fixed(value, 2)).join(" ")));
  }
  box.append(h("figcaption", { class: "num" }, h("b", {}, one.is), ` not ${one.said}`, h("span", { class: "quiet" }, ` ${percent(one.probability)} %`)));
  return box;
}
