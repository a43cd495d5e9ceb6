// Curves, drawn by uPlot in the colours of the theme.
import { h, put, short } from "./format.js";

const HEIGHT = 210;
const POINTS_SHOWN = 120;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800];
const plain = (value) => String(+value.toPrecision(3));
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const faint = (value) => `color-mix(in srgb, ${value} 16%, transparent)`;
const live = new Set();

/**
 * series: [{ label, color: "--accent", band: true | undefined, value: (number) => text, dash }]; a band is two series that follow each other.
 */
export class Chart {
  constructor(series, { axis = plain, zero = false, range = null } = {}) {
    Object.assign(this, { series, axis, zero, range, data: null, plot: null });
    this.box = h("div", { class: "plot" });
    this.none = h("p", { class: "none" }, "nothing yet");
    this.box.append(this.none);
    this.values = series.map(() => h("b", {}, ""));
    this.key = h("div", { class: "key" }, series.map((one, i) => {
      if (one.hidden) return null;
      const mark = h("i");
      mark.style.background = `var(${one.color})`;
      return h("span", {}, mark, one.label, this.values[i]);
    }));
    new ResizeObserver(() => this.fit()).observe(this.box);
    live.add(this);
  }

  /** Columns: the first is time in seconds. */
  set(data) {
    this.data = data;
    const known = data.slice(1).some((column) => column.some((value) => value !== null));
    this.none.hidden = known;
    this.say(data[0].length - 1);
    if (!known) this.drop();
    else if (this.plot) this.plot.setData(data);
    else if (this.box.clientWidth > 0) this.draw();
  }

  clear() {
    this.set([[], ...this.series.map(() => [])]);
  }

  say(index) {
    this.series.forEach((one, i) => {
      const column = this.data[i + 1];
      let at = index;
      while (at > 0 && (column[at] === null || column[at] === undefined)) at -= 1;
      const value = column[at];
      put(this.values[i], Number.isFinite(value) ? (one.value || short)(value) : "–");
    });
  }

  draw() {
    const ink = color("--quiet");
    const line = color("--line");
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const options = {
      width: this.box.clientWidth, height: HEIGHT, padding: [8, 8, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false }, sync: { key: "starling" } },
      scales: { x: { time: false }, y: { range: this.range || ((_, low, high) => spread(low, high, this.zero)) } },
      axes: [
        { ...axis, size: 26, space: 70, incrs: STEPS, grid: { show: false }, values: (_, ticks) => ticks.map(seconds) },
        { ...axis, size: 52, space: 34, values: (_, ticks) => ticks.map(this.axis) },
      ],
      series: [{}, ...this.series.map((one) => ({
        label: one.label, stroke: one.hidden || one.band ? "transparent" : color(one.color), width: 2, dash: one.dash, spanGaps: true,
        // One point is no line.
        points: { show: one.hidden ? false : (plot) => plot.data[0].length < (one.points ? POINTS_SHOWN : 2), size: 5, stroke: color(one.color), fill: color(one.color) },
      }))],
      bands: this.series.flatMap((one, i) => (one.band ? [{ series: [i + 1, i + 2], fill: faint(color(one.color)) }] : [])),
      hooks: { setCursor: [(plot) => this.say(plot.cursor.idx ?? this.data[0].length - 1)] },
    };
    this.plot = new uPlot(options, this.data, this.box);
  }

  fit() {
    if (this.box.clientWidth === 0) return;
    if (this.plot) this.plot.setSize({ width: this.box.clientWidth, height: HEIGHT });
    else if (this.data) this.set(this.data);
  }

  drop() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
  }

  redraw() {
    if (!this.plot) return;
    this.drop();
    this.set(this.data);
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => live.forEach((chart) => chart.redraw()));

function spread(low, high, zero) {
  if (low === null || high === null) return [0, 1];
  if (zero) low = Math.min(0, low);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [zero && low === 0 ? 0 : low - room, high + room];
}

function seconds(value) {
  if (value < 60) return `${+value.toFixed(1)}s`;
  if (value < 3600) return `${Math.floor(value / 60)}m${value % 60 ? `${Math.round(value % 60)}s` : ""}`;
  return `${Math.floor(value / 3600)}h${value % 3600 ? `${Math.round((value % 3600) / 60)}m` : ""}`;
}
