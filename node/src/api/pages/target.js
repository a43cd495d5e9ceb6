// A target that the viewer sets, and when it is reached at this rate. It is kept in this browser, by run; the peer never hears of it.
import { forecast } from "./forecast.js";
import { card, duration, h, put } from "./format.js";

const KINDS = {
  accuracy: { label: "Test accuracy, %", factor: 100, max: 100, of: (tested) => tested.test_accuracy },
  loss: { label: "Test loss, nats", factor: 1, max: null, of: (tested) => tested.test_loss },
};
const OVER = ["done", "leaving", "stopped"];

const key = (run) => `starling target ${run}`;

/** What was set for this run; a browser may refuse to keep anything. */
function kept(run) {
  try {
    const found = JSON.parse(localStorage.getItem(key(run)));
    return found && KINDS[found.of] && Number.isFinite(found.value) ? found : null;
  } catch {
    return null;
  }
}

function keep(run, target) {
  try {
    if (target) localStorage.setItem(key(run), JSON.stringify(target));
    else localStorage.removeItem(key(run));
  } catch {
    // Then it holds until the page is left.
  }
}

export class Target {
  constructor() {
    this.of = h("select", { id: "target-of", "aria-label": "What is aimed at" }, Object.entries(KINDS).map(([of, { label }]) => h("option", { value: of }, label)));
    this.value = h("input", { id: "target-value", type: "number", step: "any", min: "0", max: "100", inputmode: "decimal", placeholder: "none", "aria-label": "Target" });
    this.said = h("b", { id: "target-when", class: "num" });
    this.why = h("p", { class: "quiet" });
    this.of.addEventListener("change", () => {
      this.value.value = "";
      this.set();
    });
    this.value.addEventListener("input", () => this.set());
    this.box = card("Time to a target, at this rate", null, h("div", { class: "target" }, this.of, this.value, this.said), this.why);
    this.clear();
  }

  clear() {
    this.tested = null;
    this.status = null;
    this.run = null;
    this.draw();
  }

  set() {
    const { factor, max } = KINDS[this.of.value];
    this.value.max = max === null ? "" : String(max);
    const value = this.value.value === "" ? NaN : Number(this.value.value) / factor;
    this.target = this.value.checkValidity() && Number.isFinite(value) ? { of: this.of.value, value } : null;
    if (this.run) keep(this.run, this.target);
    this.draw();
  }

  now(status) {
    this.status = status;
    if (status.run.id !== this.run) {
      this.run = status.run.id;
      this.target = kept(this.run);
      const { of, value } = this.target || { of: status.run.model === "lm" ? "loss" : "accuracy", value: NaN };
      this.of.value = of;
      this.value.max = KINDS[of].max === null ? "" : String(KINDS[of].max);
      this.value.value = Number.isFinite(value) ? String(+(value * KINDS[of].factor).toPrecision(6)) : "";
    }
    this.draw();
  }

  history(tested) {
    this.tested = tested;
    this.draw();
  }

  draw() {
    const [said, why] = this.words();
    put(this.said, said);
    put(this.why, why);
  }

  words() {
    if (!this.target) return ["–", "Set a target: a fit of the last evaluations says when it is reached."];
    if (!this.tested || !this.status) return ["–", "No evaluation yet."];
    const { phase, uptime_s: now, training } = this.status;
    const curve = { time_s: this.tested.time_s, values: KINDS[this.target.of].of(this.tested) };
    const { state, time_s: time } = forecast(this.target.of, curve, this.target.value);
    if (state === "reached") return [`reached after ${duration(time)}`, "The last evaluation is at it or beyond."];
    if (OVER.includes(phase)) return ["not reached", "Training is over."];
    if (state === "few") return ["–", "Too few evaluations for a fit: five are needed."];
    if (state === "never") return ["never", "No curve of this kind gets all the way there."];
    if (state === "flat") return ["not at this rate", "The last evaluations do not come nearer, beyond their scatter."];
    if (state === "far") return ["not at this rate", `Not within ${duration(time)}, and further ahead the fit says nothing.`];
    if (phase === "paused") return ["–", "Training is paused."];
    const ahead = Math.max(0, time - now);
    const over = training.seconds_left !== null && ahead > training.seconds_left;
    return [`in about ${duration(ahead)}`, over ? "If it goes on like this: but the last epoch ends before." : "If it goes on like this: a fit of the last evaluations, no promise."];
  }
}
