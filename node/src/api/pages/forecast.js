// When a learning curve reaches a target if it goes on as lately. Pure: docs/dashboard.md says what it does, tests/it/dashboard.rs asks it.

/** Evaluations that a fit takes at least. */
const POINTS_MIN = 5;
/** The fit is of the time since then, as a share of all of it: the later half. */
const LATELY = 0.5;
/** A slope of less than so many of its standard errors is none. */
const ERRORS_MIN = 2;
/** Nothing is said of what lies further ahead, in times of how long it has run. */
const HORIZON = 10;

/** What falls to zero, and never below: the loss, or the share of samples that are taken for something else. */
const left = (of, value) => (of === "accuracy" ? 1 - value : value);

/**
 * A straight line of ln(what is left) over ln(time), least squares of the evaluations of the later half of the time: a power law, as learning
 * curves are.
 *
 * @param {"accuracy" | "loss"} of
 * @param {{time_s: number[], values: (number | null)[]}} curve ascending
 * @param {number} target accuracy from 0 to 1, or loss
 * @returns {{state: "few" | "reached" | "flat" | "far" | "never" | "ahead", time_s: ?number}} `time_s` when it is reached (`reached`, `ahead`), or how
 * far a forecast may look (`far`), on the curve's clock
 */
export function forecast(of, { time_s: times, values }, target) {
  const all = times.map((time, i) => ({ time, left: Number.isFinite(values[i]) ? left(of, values[i]) : NaN })).filter((one) => one.time > 0 && one.left >= 0);
  const goal = left(of, target);
  const last = all[all.length - 1];
  if (last && last.left <= goal) return { state: "reached", time_s: all.find((one) => one.left <= goal).time };
  if (all.length < POINTS_MIN) return { state: "few", time_s: null };
  if (!(goal > 0)) return { state: "never", time_s: null };
  const since = Math.min(LATELY * last.time, all[all.length - POINTS_MIN].time);
  // What has no logarithm was reached once, and is no more: an outlier.
  const points = all.filter((one) => one.time >= since && one.left > 0).map((one) => [Math.log(one.time), Math.log(one.left)]);
  const n = points.length;
  if (n < POINTS_MIN) return { state: "few", time_s: null };
  const [mx, my] = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / n);
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const slope = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const rest = points.reduce((sum, [x, y]) => sum + (y - my - slope * (x - mx)) ** 2, 0);
  const error = Math.sqrt(rest / (n - 2) / sxx);
  if (!(slope < 0) || -slope < ERRORS_MIN * error) return { state: "flat", time_s: null };
  const time = Math.exp(mx + (Math.log(goal) - my) / slope);
  const furthest = (1 + HORIZON) * last.time;
  // A line that is there already, while the last evaluation is not: about now.
  return time > furthest ? { state: "far", time_s: furthest } : { state: "ahead", time_s: Math.max(time, last.time) };
}
