// The lives of the last deltas: said, heard by whom, applied. A row opens its life.
import { bytes, card, clock, count, duration, empty, fixed, h, name, percent, put } from "./format.js";

const EVERY_MS = 2000;
const ROWS_MAX = 20;

export class Deltas {
  constructor(root, fetchJson) {
    this.fetchJson = fetchJson;
    this.rows = h("tbody", {});
    this.none = empty("No delta yet", "What this peer says, and what it hears of others, stands here.");
    const head = ["delta", "of", "said or applied", "heard by"].map((title) => h("th", { scope: "col", class: "left" }, title));
    this.table = h("table", { class: "deltas" }, h("thead", {}, h("tr", {}, head)), this.rows);
    this.note = h("p", { class: "quiet" }, "Open one to see its life.");
    root.append(card("Deltas", this.note, h("div", { class: "scroll" }, this.table), this.none));
    this.life = h("dl", { class: "facts" });
    this.title = h("h2", { id: "life-title" });
    this.dialog = h("dialog", { id: "life", "aria-labelledby": "life-title" }, h("form", { method: "dialog" }, this.title, this.life,
      h("div", { class: "actions" }, h("button", { class: "button" }, "Close"))));
    document.body.append(this.dialog);
  }

  show(visible) {
    clearTimeout(this.timer);
    this.visible = visible;
    if (visible) this.refresh();
  }

  clear() {
    this.rows.replaceChildren();
    this.table.hidden = true;
    this.none.hidden = false;
  }

  async refresh() {
    clearTimeout(this.timer);
    try {
      const { own, others } = await this.fetchJson("/v1/deltas");
      const all = [...own.map((one) => ({ ...one, own: true, at: one.said_ms })), ...others.map((one) => ({ ...one, at: one.applied_ms }))];
      all.sort((a, b) => b.at - a.at);
      this.none.hidden = all.length > 0;
      this.table.hidden = all.length === 0;
      // Somebody who is about to press a row keeps it.
      if (!this.rows.contains(document.activeElement)) this.rows.replaceChildren(...all.slice(0, ROWS_MAX).map((one) => this.row(one)));
    } catch {
      // The stream says when the peer is away.
    }
    if (this.visible) this.timer = setTimeout(() => this.refresh(), EVERY_MS);
  }

  row(one) {
    const button = h("button", { class: "link-button", type: "button", onclick: () => this.open(one) }, String(one.seq));
    return h("tr", {}, h("td", {}, button), h("td", { class: "left mono" }, one.own ? "this peer" : name(one.origin)),
      h("td", { class: "left num" }, clock(one.at)), h("td", { class: "left" }, one.own ? neighbours(one.applied_by.length) : "this peer"));
  }

  open(one) {
    put(this.title, one.own ? `Delta ${one.seq} of this peer` : `Delta ${one.seq} of ${name(one.origin)}`);
    const rows = one.own
      ? [["Said", clock(one.said_ms)], ["Holds", `${count(one.steps)} optimizer steps, ${bytes(one.payload_bytes)}`],
        ["Weight", fixed(one.weight, 3)], ["Disagreement before", one.disagreement === null ? "–" : `${percent(one.disagreement)} %`],
        ...one.applied_by.map((peer) => [`Applied by ${name(peer.peer)}`, `known ${duration(Math.max(0, peer.time_ms - one.said_ms) / 1000)} later`]),
        one.applied_by.length ? null : ["Applied by", "no neighbour that has said so yet"]]
      : [["Origin", one.origin], ["Applied here", clock(one.applied_ms)]];
    this.life.replaceChildren(...rows.filter(Boolean).flatMap(([key, value]) => [h("dt", {}, key), h("dd", { class: key === "Origin" ? "mono" : "num" }, value)]));
    this.dialog.showModal();
  }
}

const neighbours = (n) => (n === 0 ? "nobody yet" : n === 1 ? "1 neighbour" : `${n} neighbours`);
