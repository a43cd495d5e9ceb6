// The page: one stream of events from the peer, four views of it, and what may be asked of the peer.
import { clock, h, name, put } from "./format.js";
import { Events } from "./events.js";
import { Model } from "./model.js";
import { Overview } from "./overview.js";
import { Swarm } from "./swarm.js";

const $ = (id) => document.getElementById(id);
const VIEWS = ["overview", "swarm", "model", "events"];
const HISTORY_EVERY_MS = 2000;
const SILENCE_MAX_MS = 4000;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 8000;

const TONES = { starting: "idle", joining: "warn", training: "good", paused: "warn", done: "good", leaving: "warn", stopped: "bad" };
const WISHES = {
  pause: ["Pause training?", "This peer takes no steps until you resume. It goes on hearing the others; for them it is a slow peer.", "Pause"],
  resume: ["Resume training?", "This peer takes steps again.", "Resume"],
  checkpoint: ["Write a checkpoint?", "The peer writes its model and all that training goes on from, beside those it keeps by itself.", "Write"],
  leave: ["Leave the swarm?", "The peer says what is unsaid, agrees with the others, evaluates once more, and its process ends. This page ends with it.", "Leave"],
};

async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.status === 401) {
    door();
    throw new Error("this peer asks for its token");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error([problem.error || `${answer.status} ${answer.statusText}`, problem.hint].filter(Boolean).join(": "));
  }
  return answer;
}

const json = async (path) => (await ask(path)).json();
/** The same for views, which ask nobody who is gone. */
const look = (path) => (stopped ? Promise.reject(new Error("the peer has left")) : json(path));
const post = (path, body) => ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const views = { overview: new Overview($("view-overview")), swarm: new Swarm($("view-swarm")), model: new Model($("view-model"), look), events: new Events($("view-events"), look) };
let view = null;
let status = null;
let heardAt = 0;
let stopped = false;
let life = null;
let unseen = 0;
let historyAt = 0;

function route() {
  const wanted = location.hash.slice(1);
  view = VIEWS.includes(wanted) ? wanted : "overview";
  for (const one of VIEWS) $(`view-${one}`).hidden = one !== view;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "events") seen(0);
  views.model.show(view === "model");
  views.events.show(view === "events");
  draw();
  if (view === "overview") history();
}

function seen(count) {
  unseen = count;
  $("unseen").hidden = count === 0;
  put($("unseen"), String(Math.min(count, 99)));
}

function draw() {
  if (!status) return;
  put($("job"), status.run.job || "starling");
  put($("who"), `${name(status.peer.id)} on ${status.peer.device || "?"}`);
  put($("phase"), status.phase);
  $("phase").dataset.tone = TONES[status.phase] || "idle";
  document.title = `${status.phase === "training" ? "" : `${status.phase}: `}${status.run.job || "starling"}`;
  put($("version"), `starling ${status.version}`);
  put($("clock"), clock(status.time_ms));
  const over = ["leaving", "stopped"].includes(status.phase);
  $("pause").hidden = over || ["starting", "done"].includes(status.phase);
  put($("pause"), status.phase === "paused" ? "Resume" : "Pause");
  $("leave").hidden = over;
  $("log").hidden = over;
  $("checkpoint").hidden = over || !status.run.checkpoints;
  if (view === "overview") views.overview.status(status);
  if (view === "swarm") views.swarm.status(status);
  views.model.status(status);
}

/** What is drawn is of one life of the peer: that of another one begins on an empty page. */
function lives(now) {
  if (now === life) return;
  if (life !== null) {
    for (const one of VIEWS) views[one].clear();
    seen(0);
    historyAt = 0;
  }
  life = now;
}

function take(next) {
  lives(next.life);
  status = next;
  heardAt = Date.now();
  stopped = status.phase === "stopped";
  draw();
  watch();
}

async function history() {
  if (stopped || view !== "overview" || performance.now() - historyAt < HISTORY_EVERY_MS / 2) return;
  historyAt = performance.now();
  try {
    const of = life;
    const found = await json("/v1/history");
    if (of === life) views.overview.history(found);
  } catch {
    // The stream says when the peer is away.
  }
}

function watch() {
  const lost = Date.now() - heardAt > SILENCE_MAX_MS;
  const banner = $("lost");
  document.body.classList.toggle("stale", (lost || stopped) && Boolean(status));
  banner.hidden = !(lost || stopped);
  if (stopped) put(banner, "The peer has left: this is how it ended.");
  else if (lost && status) put(banner, `No word from the peer since ${clock(heardAt)}; trying again`);
  else if (lost) put(banner, "No answer from the peer yet; trying again");
}

let source = null;
let again = 0;
let pause = RETRY_MIN_MS;
function listen() {
  clearTimeout(again);
  if (source) source.close();
  source = new EventSource("/v1/events");
  source.addEventListener("status", (event) => {
    pause = RETRY_MIN_MS;
    take(JSON.parse(event.data));
    if (!stopped) return;
    // It may come back, in a life of its own.
    source.close();
    again = setTimeout(listen, RETRY_MAX_MS);
  });
  source.addEventListener("event", (event) => {
    const entry = JSON.parse(event.data);
    // An id is LIFE-NUMBER.
    lives(Number(event.lastEventId.split("-")[0]));
    if (views.events.add(entry) && view !== "events" && entry.level !== "info") seen(unseen + 1);
  });
  source.addEventListener("error", () => {
    // A stream that is refused is not opened again by the browser.
    if (source.readyState !== EventSource.CLOSED) return;
    again = setTimeout(listen, pause);
    pause = Math.min(2 * pause, RETRY_MAX_MS);
    // Where all streams are taken, the state is still told; where a token is missing, this opens the door.
    json("/v1/status").then(take, () => {});
  });
}

function confirm(action) {
  const [title, text, yes] = WISHES[action];
  put($("ask-title"), title);
  put($("ask-text"), text);
  put($("ask-yes"), yes);
  $("ask-error").hidden = true;
  $("ask").returnValue = "no";
  $("ask").onclose = async () => {
    if ($("ask").returnValue !== "yes") return;
    try {
      await post("/v1/control", { action });
    } catch (error) {
      put($("ask-error"), error.message);
      $("ask-error").hidden = false;
      // Escape leaves the value as it is: it must not say yes a second time.
      $("ask").returnValue = "no";
      $("ask").showModal();
    }
  };
  $("ask").showModal();
}

function door() {
  if (!$("door").open) $("door").showModal();
}

$("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/v1/session", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token: $("door-token").value.trim() }) }).catch(() => null);
  $("door-error").hidden = Boolean(answer && answer.ok);
  if (!answer || !answer.ok) {
    const problem = answer ? await answer.json().catch(() => ({})) : {};
    const unknown = answer ? `${answer.status} ${answer.statusText}` : "the peer does not answer";
    put($("door-error"), [problem.error || unknown, problem.hint].filter(Boolean).join(": "));
    return;
  }
  $("door-token").value = "";
  $("door").close();
  listen();
  route();
});
$("log").addEventListener("click", async () => {
  const { level, levels } = await json("/v1/log").catch(() => ({}));
  if (!levels) return;
  // A filter of its own, which `--log` may be, is none of the levels.
  const options = levels.includes(level) ? levels : [level, ...levels];
  $("logs-level").replaceChildren(...options.map((one) => h("option", { value: one, selected: one === level, disabled: !levels.includes(one) }, one)));
  $("logs-error").hidden = true;
  $("logs").returnValue = "no";
  $("logs").showModal();
});
$("logs").addEventListener("close", async () => {
  if ($("logs").returnValue !== "yes") return;
  try {
    await post("/v1/log", { level: $("logs-level").value });
  } catch (error) {
    put($("logs-error"), error.message);
    $("logs-error").hidden = false;
    $("logs").returnValue = "no";
    $("logs").showModal();
  }
});
$("pause").addEventListener("click", () => confirm(status && status.phase === "paused" ? "resume" : "pause"));
$("checkpoint").addEventListener("click", () => confirm("checkpoint"));
$("leave").addEventListener("click", () => confirm("leave"));
document.querySelector(".skip").addEventListener("click", (event) => {
  // Its address is no view: going there would leave the one that is shown.
  event.preventDefault();
  $("main").focus();
});
addEventListener("hashchange", () => { route(); $("main").focus({ preventScroll: true }); });
heardAt = Date.now();
setInterval(watch, 1000);
setInterval(history, HISTORY_EVERY_MS);
route();
json("/v1/status").then((first) => { take(first); listen(); }, listen);
