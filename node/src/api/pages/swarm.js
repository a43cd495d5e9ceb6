// Who is there: a graph for the eye, and the same as a table.
import { card, count, duration, empty, fixed, h, name, put, s } from "./format.js";

const SIZE = 400;
const RING = 142;
const NODES_MAX = 48;
const GONE_SHOWN_S = 60;

const COLUMNS = [["Peer", "left"], ["Link", "left"], ["Round trip"], ["Silent"], ["Steps"], ["Steps/s"], ["Loss"], ["Deltas"], ["Behind"]];

export class Swarm {
  constructor(root) {
    this.links = s("g");
    this.nodes = s("g");
    this.known = new Map();
    const svg = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", "aria-label": "Peers and their links; the table says the same" }, this.links, this.nodes);
    this.summary = h("p", { class: "quiet num" });
    this.body = h("tbody");
    const head = h("thead", {}, h("tr", {}, COLUMNS.map(([label, side]) => h("th", { scope: "col", class: side }, label))));
    this.alone = empty("Nobody else is here yet", "Peers of the same job on this network are found by themselves; elsewhere, name one with --peer.");
    this.table = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Peers" }, h("table", {}, head, this.body));
    const graph = card("Links", this.summary, svg);
    graph.classList.add("graph");
    root.append(h("div", { class: "split" }, graph, card("Peers", null, this.table, this.alone)));
  }

  status(status) {
    const own = status.peer.id;
    const peers = status.peers.filter((peer) => peer.gone_s === null || peer.gone_s < GONE_SHOWN_S);
    const alive = 1 + peers.filter((peer) => peer.gone_s === null).length;
    const gone = peers.length + 1 - alive;
    put(this.summary, `${alive} alive${gone ? `, ${gone} gone` : ""}`);
    this.alone.hidden = peers.length > 0;
    this.graph(own, peers.slice(0, NODES_MAX), status);
    this.rows(own, peers, status);
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
    const lines = [];
    const line = (a, b, kind) => {
      const key = a < b ? a + b : b + a;
      if (drawn.has(key) || !place.has(a) || !place.has(b)) return;
      drawn.add(key);
      const [[x1, y1], [x2, y2]] = [place.get(a), place.get(b)];
      lines.push(s("line", { x1, y1, x2, y2, class: kind }));
    };
    for (const peer of peers) if (peer.linked) line(own, peer.id, `link own ${peer.way === "relayed" ? "relayed" : ""}`);
    for (const peer of peers) if (peer.gone_s === null) for (const other of peer.neighbours) line(peer.id, other, "link");
    this.links.replaceChildren(...lines);
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
    const state = kind(peer);
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

  rows(own, peers, { training, gossip }) {
    const cell = (text, side) => h("td", { class: side }, text);
    const row = (peer, cells) => h("tr", { class: peer.gone_s === null || peer.self ? null : "gone" },
      h("th", { scope: "row", class: "left mono", title: peer.id }, h("span", { class: `dot ${tone(peer)}` }), name(peer.id)), cells);
    const mine = row({ id: own, self: true, gone_s: null }, [cell("this peer", "left"), cell("–"), cell("–"), cell(count(training.steps)), cell(count(training.steps_per_second)),
      cell(fixed(training.train_loss ?? NaN, 4)), cell(count(gossip.deltas_said)), cell("–")]);
    const others = peers.map((peer) => row(peer, peer.gone_s !== null
      ? [cell(`gone for ${duration(Math.floor(peer.gone_s))}: ${peer.gone_why}`, "left"), ...Array.from({ length: 5 }, () => cell("–")), cell(count(peer.deltas)), cell("–")]
      : [cell(peer.linked ? `${peer.way || "linked"}, ${duration(Math.floor(peer.linked_s))}` : "by way of others", "left"), cell(duration(peer.round_trip_s ?? NaN)), cell(duration(peer.silent_s ?? NaN)),
        cell(count(peer.steps ?? NaN)), cell(count(peer.steps_per_second ?? NaN)), cell(fixed(peer.train_loss ?? NaN, 4)), cell(count(peer.deltas)), cell(peer.agrees ? "agrees" : count(peer.behind))]));
    this.body.replaceChildren(mine, ...others);
  }
}

function kind(peer) {
  if (peer.self) return "self";
  if (peer.gone_s !== null) return "gone";
  if (!peer.linked) return "far";
  return peer.agrees ? "agrees" : peer.behind > 32 ? "behind" : "";
}

const tone = (peer) => ({ self: "self", gone: "bad", far: "", agrees: "good", behind: "warn" })[kind(peer)] || "good";
