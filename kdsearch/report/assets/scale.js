"use strict";
// Where a score stands on an axis: as it is, or by the logarithm of its distance from the best.
//
// Good scores crowd near the best that there can be. On the logarithmic scale of that distance (the
// error, for a share) 90, 99 and 99.9 % are equally far apart; the ticks still tell scores.

/** The distance from the best that there can be, in the metric's own unit. */
function lossOf(metric, value) {
  if (metric.better === "higher") return metric.highest - value;
  return value - (metric.lowest ?? 0);
}

/** Whether some losses can stand on a logarithmic axis at all. */
function hasErrors(losses) {
  return losses.some((loss) => loss > 0) && losses.every((loss) => loss >= 0);
}

/** How many times farther the worst is from the best than the nearest, where they crowd. */
const CROWDED = 8;

/** Whether they crowd near the best, so that the logarithmic axis shows more. */
function crowded(losses) {
  const positive = losses.filter((loss) => loss > 0);
  return hasErrors(losses) && most(positive) > CROWDED * least(positive);
}

/** Places scores on one axis.
 *
 * @param metric What the scores are.
 * @param kind "score", or "error" for the logarithmic scale.
 * @param values All scores of the figure.
 */
function makeScale(metric, kind, values) {
  const times = factor(metric);
  if (kind === "score") {
    return {
      place: (value) => times * value,
      // half an interval above and below a score
      bars: (pair) => [times * pair[1], times * pair[1]],
      axis: (low, high) => ({ type: "linear", range: [times * low, times * high] }),
    };
  }
  const positive = values.map((value) => lossOf(metric, value)).filter((loss) => loss > 0);
  // a score without any error stands half as far away as the best of the others
  const nearest = times * least(positive) / 2;
  const place = (value) => Math.max(times * lossOf(metric, value), nearest);
  return {
    place,
    bars: (pair) => {
      const loss = times * lossOf(metric, pair[0]);
      const half = times * pair[1];
      return [Math.max(loss + half, nearest) - place(pair[0]),
              place(pair[0]) - Math.max(loss - half, nearest)];
    },
    axis: (low, high) => {
      const found = [place(low), place(high)].sort((a, b) => a - b);
      const ends = [found[0] / 1.15, found[1] * 1.08];  // room for the marks at both ends
      const marks = ticks(ends[0], ends[1]);
      return {
        type: "log",
        range: [Math.log10(ends[1]), Math.log10(ends[0])],
        tickvals: marks,
        ticktext: marks.map((mark) => tickText(metric, mark)),
      };
    },
  };
}

/** The score that a tick of the logarithmic axis stands for. */
function tickText(metric, loss) {
  const places = Math.min(6, (String(Number(loss.toPrecision(6))).split(".")[1] ?? "").length);
  const best = metric.better === "higher" ? factor(metric) * metric.highest : 0;
  const value = metric.better === "higher" ? best - loss : loss + factor(metric) * (metric.lowest ?? 0);
  return value.toFixed(places);
}

/** Ticks 1, 2 and 5 of every decade between two positive ends; fewer where those are many.
 *
 * Between ends so near that fewer than three of these lie there, they are equally far apart.
 */
function ticks(low, high) {
  const decades = Math.log10(high / low);
  const steps = decades > 4 ? [1] : decades > 2.6 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) found.push(tick);
    }
  }
  return found.length > 2 ? found : nearTicks(low, high);
}

/** Three ticks or more at multiples of 1, 2 or 5 of a decade. */
function nearTicks(low, high) {
  const unit = 10 ** Math.floor(Math.log10(high - low));
  const multiples = (step) => {
    const [first, last] = [Math.ceil(low / step - 1e-6), Math.floor(high / step + 1e-6)];
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => (first + place) * step);
  };
  return [5, 2, 1, 0.5, 0.2].map((share) => multiples(share * unit)).find((marks) => marks.length > 2);
}

/** A logarithmic axis of sizes. */
function sizeAxis(name, values) {
  const low = least(values) / 1.25;
  const high = most(values) * 1.25;
  const marks = ticks(low, high);
  return {
    title: { text: DATA.size_names[name] ?? name },
    type: "log",
    range: [Math.log10(low), Math.log10(high)],
    tickvals: marks,
    ticktext: marks.map(short),
  };
}

/** The ends of an axis that shows the better nine tenths of the trials, and everything in `shown`. */
function ends(metric, trials, shown, kind) {
  const losses = trials.map((value) => lossOf(metric, value)).sort((a, b) => a - b);
  const last = losses[Math.min(losses.length - 1, Math.floor(0.9 * losses.length))];
  const kept = [...trials.filter((value) => lossOf(metric, value) <= last), ...shown];
  const low = least(kept);
  const high = most(kept);
  const room = kind === "error" ? 0 : Math.max((high - low) * 0.06, 1e-6);
  return [Math.max(metric.lowest ?? -Infinity, low - room), Math.min((metric.highest ?? Infinity) + room / 3, high + room)];
}
