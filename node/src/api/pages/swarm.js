// Who is there: a graph for the eye, and the same as a table.
import { card, count, duration, empty, fixed, h, lagMax, name, put, s } from "./format.js";

const SIZE = 400;
const RING = 142;
const NODES_MAX = 48;
const GONE_SHOWN_S = 60;

// Classes of links by the time of an exchange, seconds: a stroke each, since nobody reads a width as a number.
const QUICK_S = 0.05;
const FAIR_S = 0.2;
const STROKES = [["own quick", "answers within 50 ms"], ["own fair", "within 200 ms"], ["own slow", "later, or not known yet"], ["own fair relayed", "relayed"], ["", "between others"]];

const COLUMNS = [["Peer", "left"], ["Link", "left"], ["Round trip"], ["Silent"], ["Steps"], ["Steps/s"], ["Loss"], ["Deltas"], ["Behind"]];
const NOBODY = ["Nobody else is here yet", "Peers of the same job on this network are found by themselves; elsewhere, name one with --peer."];
const ALONE = ["This peer trains alone", "It was started with --no-gossip: it hears nobody and says nothing."];

export class Swarm {
  constructor(root) {
    this.links = s("g");
    this.nodes = s("g");
    this.known = new Map();
    this.lines = new Map();
    this.rows = new Map();
    const svg = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": "Peers and their links; the table says the same" }, this.links, this.nodes);
    this.summary = h("p", { class: "quiet num" });
    this.body = h("tbody");
    const head = h("thead", {}, h("tr", {}, COLUMNS.map(([label, side]) => h("th", { scope: "col", class: side }, label))));
    this.alone = empty(...NOBODY);
    this.table = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Peers" }, h("table", {}, head, this.body));
    const stroke = ([kind, words]) => h("span", {}, s("svg", { class: "stroke", viewBox: "0 0 28 8", "aria-hidden": "true" }, s("line", { x1: 1, x2: 27, y1: 4, y2: 4, class: kind })), words);
    const graph = card("Links", this.summary, svg, h("div", { class: "key" }, STROKES.map(stroke)));
    graph.classList.add("graph");
    root.append(h("div", { class: "split" }, graph, card("Peers", null, this.table, this.alone)));
  }

  clear() {
    for (const part of [this.links, this.nodes, this.body]) part.replaceChildren();
    for (const kept of [this.known, this.lines, this.rows]) kept.clear();
    put(this.summary, "");
  }

  status(status) {
    const own = status.peer.id;
    const peers = status.peers.filter((peer) => peer.gone_s === null || peer.gone_s < GONE_SHOWN_S);
    const alive = 1 + peers.filter((peer) => peer.gone_s === null).length;
    const gone = peers.length + 1 - alive;
    const drawn = peers.length > NODES_MAX ? `, ${NODES_MAX + 1} of ${peers.length + 1} drawn` : "";
    put(this.summary, `${alive} alive${gone ? `, ${gone} gone` : ""}${drawn}`);
    this.alone.hidden = peers.length > 0;
    const [title, text] = status.run.gossip ? NOBODY : ALONE;
    put(this.alone.firstChild, title);
    put(this.alone.lastChild, text);
    this.graph(own, peers.slice(0, NODES_MAX), status);
    this.list(own, peers, status);
  }

  graph(own, peers, status) {
    // One ring for all, in the order of their ids: nobody is special, and nobody jumps when somebody comes.
    const all = [{ id: own, self: true }, ...peers].sort((a, b) => (a.id < b.id ? -1 : 1));
    const place = new Map(all.map((peer, i) => {
      const angle = (2 * Math.PI * i) / all.length - Math.PI / 2;
      const ring = all.length === 1 ? 0 : RING;
      return [peer.id, [SIZE / 2 + ring * Math.cos(angle), SIZE / 2 - 12 + ring * Math.sin(angle)]];
    }));
    const drawn = new Set();
    const line = (a, b, kind, words) => {
      const key = a < b ? a + b : b + a;
      if (drawn.has(key) || !place.has(a) || !place.has(b)) return;
      drawn.add(key);
      let one = this.lines.get(key);
      if (!one) {
        one = s("line", {}, s("title"));
        this.lines.set(key, one);
        this.links.append(one);
      }
      const [[x1, y1], [x2, y2]] = [place.get(a), place.get(b)];
      for (const [name, value] of Object.entries({ x1, y1, x2, y2, class: kind })) set(one, name, String(value));
      put(one.firstChild, words);
    };
    for (const peer of peers) if (peer.linked) line(own, peer.id, `link own ${quality(peer)} ${peer.way === "relayed" ? "relayed" : ""}`.trim(), `${name(peer.id)}: ${duration(peer.round_trip_s ?? NaN)}`);
    for (const peer of peers) if (peer.gone_s === null) for (const other of peer.neighbours) line(peer.id, other, "link", `${name(peer.id)} with ${name(other)}`);
    for (const [key, one] of this.lines) {
      if (drawn.has(key)) continue;
      one.remove();
      this.lines.delete(key);
    }
    for (const peer of all) this.node(peer, place.get(peer.id), status);
    for (const [id, node] of this.known) {
      if (place.has(id)) continue;
      node.box.remove();
      this.known.delete(id);
    }
  }

  node(peer, [x, y], status) {
    let node = this.known.get(peer.id);
    if (!node) {
      node = { pulse: s("circle", { class: "pulse", r: 17 }), title: s("title"), sub: s("text", { class: "sub", y: 44 }), deltas: null };
      node.box = s("g", {}, node.title, node.pulse, s("circle", { r: 17 }), s("text", { y: 31 }, name(peer.id)), node.sub);
      this.nodes.append(node.box);
      this.known.set(peer.id, node);
    }
    const state = kind(peer, lagMax(status));
    node.box.setAttribute("class", `node ${state}`);
    node.box.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    put(node.sub, peer.self ? "this peer" : peer.gone_s !== null ? "gone" : peer.linked ? peer.way || "linked" : "by way of others");
    put(node.title, `${peer.id}: ${node.sub.textContent}`);
    const deltas = peer.self ? status.gossip.deltas_said : peer.deltas;
    if (node.deltas !== null && deltas > node.deltas) {
      node.pulse.classList.remove("now");
      // A new animation begins only after the old one is off the page.
      requestAnimationFrame(() => node.pulse.classList.add("now"));
    }
    node.deltas = deltas;
  }

  list(own, peers, status) {
    const { training, gossip } = status;
    const most = lagMax(status);
    const mine = ["this peer", "–", "–", count(training.steps), count(training.steps_per_second), fixed(training.train_loss ?? NaN, 4), count(gossip.deltas_said), "–"];
    const others = peers.map((peer) => [peer, peer.gone_s !== null
      ? [`gone for ${duration(Math.floor(peer.gone_s))}: ${peer.gone_why}`, "–", "–", "–", "–", "–", count(peer.deltas), "–"]
      : [peer.linked ? `${peer.way || "linked"}, ${duration(Math.floor(peer.linked_s))}` : "by way of others", duration(peer.round_trip_s ?? NaN), duration(peer.silent_s ?? NaN),
        count(peer.steps ?? NaN), count(peer.steps_per_second ?? NaN), fixed(peer.train_loss ?? NaN, 4), count(peer.deltas), peer.agrees ? "agrees" : count(peer.behind)]]);
    const wanted = [[{ id: own, self: true, gone_s: null }, mine], ...others];
    // Rows stay and their cells change: who reads or marks one for copying keeps it.
    wanted.forEach(([peer, cells], i) => {
      const row = this.row(peer);
      set(row.box, "class", peer.gone_s === null ? "" : "gone");
      set(row.dot, "class", `dot ${tone(peer, most)}`);
      cells.forEach((text, cell) => put(row.cells[cell], text));
      if (this.body.children[i] !== row.box) this.body.insertBefore(row.box, this.body.children[i] ?? null);
    });
    const there = new Set(wanted.map(([peer]) => peer.id));
    for (const [id, row] of this.rows) {
      if (there.has(id)) continue;
      row.box.remove();
      this.rows.delete(id);
    }
  }

  row(peer) {
    let row = this.rows.get(peer.id);
    if (!row) {
      row = { dot: h("span"), cells: COLUMNS.slice(1).map(([, side]) => h("td", { class: side })) };
      row.box = h("tr", {}, h("th", { scope: "row", class: "left mono", title: peer.id }, row.dot, name(peer.id)), row.cells);
      this.rows.set(peer.id, row);
    }
    return row;
  }
}

function quality({ round_trip_s: took }) {
  if (took === null || took >= FAIR_S) return "slow";
  return took < QUICK_S ? "quick" : "fair";
}

function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

function kind(peer, most) {
  if (peer.self) return "self";
  if (peer.gone_s !== null) return "gone";
  if (!peer.linked) return "far";
  return peer.agrees ? "agrees" : peer.behind > most ? "behind" : "";
}

const tone = (peer, most) => ({ self: "self", gone: "bad", far: "", agrees: "good", behind: "warn" })[kind(peer, most)] || "good";
