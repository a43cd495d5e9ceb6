// How training goes: figures, progress, curves.
import { Chart } from "./charts.js";
import { bytes, card, count, duration, fixed, h, lagMax, name, percent, put } from "./format.js";
import { Target } from "./target.js";

const STATS = [
  ["loss", "Training loss", "nats"],
  ["accuracy", "Test accuracy", "%"],
  ["pace", "Steps a second", ""],
  ["peers", "Peers alive", ""],
  ["said", "Said so far", ""],
  ["apart", "Disagreement", "%"],
];

export class Overview {
  constructor(root) {
    this.stats = {};
    const stats = h("dl", { class: "stats" }, STATS.map(([key, label, unit]) => {
      const value = h("span", {}, "–");
      const note = h("dd", { class: "note" }, "\u00a0");
      this.stats[key] = { value, note };
      return h("div", { class: "card stat" }, h("dt", {}, label), h("dd", { class: "value" }, value, unit && h("span", { class: "unit" }, unit)), note);
    }));
    this.bar = h("i");
    this.done = h("span");
    this.left = h("span", { class: "quiet" });
    this.track = h("div", { class: "track", role: "progressbar", "aria-label": "Epochs", "aria-valuemin": 0, "aria-valuemax": 100 }, this.bar);
    const progress = h("div", { class: "card way" }, h("p", { class: "num" }, this.done, this.left), this.track);
    this.loss = new Chart([
      { label: "greatest of the swarm", color: "--accent", band: true, hidden: true },
      { label: "least of the swarm", color: "--accent", hidden: true },
      { label: "this peer, training", color: "--accent" },
      { label: "shared model, test", color: "--third", points: true },
    ]);
    const nats = (value) => `${percent(value)} %`;
    this.accuracy = new Chart([{ label: "test", color: "--third", value: nats, points: true }], { axis: (value) => `${+(100 * value).toFixed(1)}%` });
    this.pace = new Chart([{ label: "steps/s", color: "--fourth", value: count }], { axis: count, zero: true });
    this.traffic = new Chart([
      { label: "said", color: "--accent", value: (value) => `${bytes(value)}/s` },
      { label: "heard", color: "--second", value: (value) => `${bytes(value)}/s` },
    ], { axis: bytes, zero: true });
    this.apart = new Chart([{ label: "distance from the shared model", color: "--second", value: nats }], { axis: (value) => `${+(100 * value).toPrecision(3)}%`, zero: true });
    this.rows = ["dense", "said", "heard"].map((kind) => ({ kind, bar: h("i", { class: kind }), value: h("b", { class: "num" }) }));
    const words = { dense: "Averaging f32 gradients every step would have sent", said: "This peer has sent", heard: "This peer has received" };
    const compare = h("div", { class: "compare" }, this.rows.map((row) => h("div", { class: "row" }, h("p", {}, h("span", { class: "quiet" }, words[row.kind]), row.value), row.bar)));
    this.ratio = h("p", { class: "quiet" });
    this.facts = h("dl", { class: "facts" });
    const chart = (title, one, wide) => {
      const box = card(title, one.key, one.box);
      if (wide) box.classList.add("wide");
      return box;
    };
    const facts = card("This peer", null, this.facts);
    facts.classList.add("wide");
    this.target = new Target();
    root.append(stats, progress, this.target.box, h("div", { class: "charts" },
      chart("Loss, nats a sample", this.loss, true), chart("Accuracy", this.accuracy),
      chart("Bytes a second", this.traffic), chart("Steps a second", this.pace), chart("Disagreement", this.apart),
      card("Bytes against data-parallel training", this.ratio, compare), facts));
  }

  clear() {
    for (const chart of [this.loss, this.accuracy, this.pace, this.traffic, this.apart]) chart.clear();
    this.target.clear();
  }

  stat(key, value, note) {
    put(this.stats[key].value, value);
    put(this.stats[key].note, note || "\u00a0");
  }

  status(status) {
    const { training, gossip, run, peers } = status;
    const alive = 1 + peers.filter((peer) => peer.gone_s === null).length;
    const test = training.test_loss === null ? "not evaluated yet" : `test ${fixed(training.test_loss, 4)}`;
    this.stat("loss", training.train_loss === null ? "–" : fixed(training.train_loss, 4), test);
    this.stat("accuracy", percent(training.test_accuracy ?? NaN), training.base_hash ? `base ${name(training.base_hash)}` : "after the first epoch");
    this.stat("pace", count(training.steps_per_second), `${count(training.steps)} steps`);
    this.stat("peers", String(alive), run.gossip ? `${gossip.neighbours} linked, ${together(status)}` : "trains alone");
    this.stat("said", bytes(gossip.bytes_sent), gossip.bytes_ratio ? `${count(gossip.bytes_ratio)} times less than dense` : `${gossip.deltas_said} deltas`);
    this.stat("apart", percent(gossip.disagreement ?? NaN), `${count(gossip.deltas_said)} said, ${count(gossip.deltas_heard)} heard`);
    const all = run.epochs === null ? null : run.epochs * run.steps_per_epoch;
    const share = all ? Math.min(1, training.steps / all) : (training.steps % run.steps_per_epoch) / Math.max(1, run.steps_per_epoch);
    put(this.done, run.epochs === null ? `epoch ${training.epoch + 1}, until it is stopped` : `epoch ${Math.min(training.epoch + 1, run.epochs)} of ${run.epochs}`);
    put(this.left, training.seconds_left === null ? `running for ${duration(status.uptime_s)}` : `${duration(training.seconds_left)} left at this pace`);
    this.bar.style.width = `${100 * share}%`;
    this.track.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    const sizes = { dense: gossip.dense_bytes, said: gossip.bytes_sent, heard: gossip.bytes_received };
    const most = Math.max(1, ...Object.values(sizes));
    for (const row of this.rows) {
      put(row.value, bytes(sizes[row.kind]));
      row.bar.style.width = `${(100 * sizes[row.kind]) / most}%`;
    }
    put(this.ratio, gossip.bytes_ratio ? `${count(gossip.bytes_ratio)} : 1` : "");
    this.about(status);
    this.target.now(status);
  }

  about({ peer, run, training }) {
    const rows = [
      ["Device", peer.backend === peer.device ? peer.device : `${peer.device} (${peer.backend})`],
      ["Model", `${run.model}, ${run.parameters.toLocaleString("en")} parameters`],
      ["Speaks", run.gossip ? `${run.mode}, ${run.codec}` : "with nobody"],
      ["Swarm", run.private ? "private: who holds the key" : "open to everybody"],
      ["Samples", `${training.samples.toLocaleString("en")} by the whole swarm`],
      ["Run", run.id], ["Peer", peer.id], ["Addresses", peer.addresses.join("\n") || "none"],
    ];
    const text = JSON.stringify(rows);
    if (text === this.said) return;
    this.said = text;
    const mono = new Set(["Run", "Peer", "Addresses"]);
    this.facts.replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, key), h("dd", { class: mono.has(key) ? "mono" : null }, ...value.split("\n").flatMap((line, i) => (i ? [h("br"), line] : [line])))]));
  }

  history(history) {
    const time = history.time_s;
    const tested = history.evaluations;
    // Evaluations have times of their own: both lie on one axis.
    const both = uPlot.join([
      [time, history.train_loss_max, history.train_loss_min, history.train_loss],
      [tested.time_s, tested.test_loss],
    ]);
    this.loss.set(both);
    this.target.history(tested);
    this.accuracy.set([tested.time_s, tested.test_accuracy]);
    this.pace.set([time, history.steps_per_second]);
    this.traffic.set([time, history.bytes_sent_per_second, history.bytes_received_per_second]);
    this.apart.set([time, history.disagreement]);
  }
}

/** Deltas are always under way, so two sets that differ are nothing: only who lacks many is behind. */
function together(status) {
  if (status.phase === "joining") return "catching up";
  if (status.gossip.agreed) return "agreed";
  const most = lagMax(status);
  const behind = status.peers.filter((peer) => peer.linked && peer.behind > most).length;
  return behind ? `${behind} behind` : "in step";
}
