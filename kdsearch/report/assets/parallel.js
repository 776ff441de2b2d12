"use strict";
// Parallel coordinates: a line for each complete trial, over everything that differs between them.

const MISSING = -0.12;
const MOST_CHOICES = 8;
const MOST_VALUES = 11;
const LONG_TITLE = 12;
const TITLE_LINE = 14;

/** The axes: what differs between trials, then the size and the score of the front's figure. */
function parallelAxes(trials) {
  const metric = DATA.metrics[state.metric];
  const [values, left] = drawnValues(trials);
  const axes = [
    axisOf("method", trials.map((row) => row.method)),
    ...values,
    axisOf(sizeHead(state.size), trials.map((row) => row.sizes[state.size]), whole),
    axisOf(`validation ${metric.head}`, trials.map((row) => row.scores[state.metric] ?? null),
           (value) => told(metric, value), metric),
  ];
  return [axes.filter(Boolean), left];
}

/** The axes of as many values as there is room for, those of most trials, and the names of the others. */
function drawnValues(trials) {
  const names = new Set(trials.flatMap((row) => Object.keys(row.values)));
  names.delete("hyperparameters");
  const axes = [...names].map((name) => axisOf(name, trials.map((row) => row.values[name] ?? null))).filter(Boolean);
  const held = (axis) => axis.places.filter((place) => place !== null).length;
  const kept = new Set([...axes].sort((a, b) => held(b) - held(a)).slice(0, MOST_VALUES));
  return [axes.filter((axis) => kept.has(axis)), axes.filter((axis) => !kept.has(axis)).map((axis) => axis.title)];
}

/** One axis from 0 to 1, or nothing where all trials that have the value are alike. */
function axisOf(title, values, tell = (value) => digits(value), metric = null) {
  const known = values.filter((value) => value !== null);
  const choices = [...new Set(known)];
  if (choices.length < 2) return null;
  if (choices.some((value) => typeof value === "string") || (choices.length <= 3 && !metric)) {
    choices.sort((a, b) => typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
    const step = choices.length > 1 ? 1 / (choices.length - 1) : 0;
    const marks = choices.map((value, place) => [choices.length > 1 ? place * step : 0.5, shortened(String(value))]);
    const places = new Map(choices.map((value, place) => [value, marks[place][0]]));
    return { title, places: values.map((value) => value === null ? null : places.get(value)), marks };
  }
  return numberAxis(title, values, known, tell, metric);
}

function numberAxis(title, values, known, tell, metric) {
  const low = least(known), high = most(known);
  const losses = metric ? known.map((value) => lossOf(metric, value)) : [];
  if (metric && state.scale === "error" && hasErrors(losses)) {
    const scale = makeScale(metric, "error", known);
    const [far, near] = [scale.place(metric.better === "higher" ? low : high), scale.place(metric.better === "higher" ? high : low)];
    const at = (value) => Math.log(scale.place(value) / far) / Math.log(near / far);
    const ends = metric.better === "higher" ? [low, high] : [high, low];
    return { title, places: values.map((value) => value === null ? null : at(value)),
             marks: [[0, tell(ends[0])], [1, tell(ends[1])]] };
  }
  const log = low > 0 && high / low >= 10 && !metric;
  const at = log ? (value) => Math.log(value / low) / Math.log(high / low) : (value) => (value - low) / (high - low);
  const mid = log ? Math.sqrt(low * high) : (low + high) / 2;
  return { title, places: values.map((value) => value === null ? null : at(value)),
           marks: [[0, tell(low)], [0.5, tell(mid)], [1, tell(high)]] };
}

/** A choice's name where there is little room. */
function shortened(text) {
  return text.length > 14 ? `${text.slice(0, 13)}…` : text;
}

function drawParallel() {
  const trials = complete();
  document.getElementById("parallel-note").textContent = "";
  if (trials.length < 2) return empty("parallel-figure", "Fewer than two complete trials.");
  const [axes, left] = parallelAxes(trials);
  if (!axes.length) return empty("parallel-figure", "All complete trials are alike.");
  if (left.length) document.getElementById("parallel-note").textContent =
    `Without an axis, since fewer trials have them: ${left.join(", ")}.`;
  const gone = axes.map((axis) => axis.places.includes(null));
  const groups = DATA.methods.map((method) => ({ method, rows: [] }));
  const hidden = { rows: [] };
  trials.forEach((row, place) => {
    const open = state.chosen === null || state.chosen.has(row.trial);
    (open ? groups.find((group) => group.method.label === row.method) : hidden).rows.push([row, place]);
  });
  const traces = [
    parallelLines(axes, hidden.rows, { color: "#dddddd", width: 0.7 }, "not chosen"),
    ...groups.map(({ method, rows }) => parallelLines(axes, rows, { color: method.colour, width: 1.2 }, method.label, method)),
  ].filter((trace) => trace.x.length);
  show("parallel-figure", traces, {
    ...BASE,
    dragmode: "select",
    xaxis: { range: [-0.1, axes.length - 0.6], tickvals: [], zeroline: false, showgrid: false, fixedrange: true },
    yaxis: { range: [MISSING - 0.1, 1.12], visible: false, fixedrange: true },
    shapes: axes.map((_, place) => ({
      type: "line", x0: place, x1: place, y0: 0, y1: 1, line: { color: "#888888", width: 1 }, layer: "below",
    })),
    annotations: axes.flatMap((axis, place) => axisTexts(axis, place, gone[place])),
    legend: { orientation: "h", y: -0.02, yanchor: "top", x: 0, font: { size: 11 } },
    margin: { l: 12 + 6.5 * most(axes[0].marks.map(([, told]) => told.length)), r: 10, b: 30,
              t: 16 + TITLE_LINE * most(axes.map((axis) => inLines(axis.title).split("<br>").length)) },
  });
}

/** The lines of some trials as one trace; a trial ends where the next begins, by a gap. */
function parallelLines(axes, rows, line, name, method = null) {
  const x = [], y = [], customdata = [], text = [];
  for (const [row, place] of rows) {
    axes.forEach((axis, at) => {
      x.push(at);
      y.push(axis.places[place] ?? MISSING);
      customdata.push(row.trial);
      text.push(method ? trialText(row) : "");
    });
    x.push(null), y.push(null), customdata.push(null), text.push("");
  }
  return { type: "scatter", mode: "lines+markers", x, y, customdata, text, name, line,
           opacity: method ? 0.75 : 1, hoverinfo: method ? "text" : "skip",
           marker: { size: method ? 4 : 1, symbol: method?.symbol ?? "circle", color: line.color },
           selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 1 } } };
}

function axisTexts(axis, place, gone) {
  const text = { xref: "x", yref: "y", showarrow: false, font: { size: 10, color: INK } };
  const marks = [...axis.marks, ...(gone ? [[MISSING, "none"]] : [])];
  const every = Math.ceil(marks.length / MOST_CHOICES);
  return [
    { ...text, x: place, y: 1.03, text: inLines(axis.title), yanchor: "bottom", font: { size: 11, color: INK } },
    ...marks.filter((_, at) => at % every === 0).map(([y, told]) => ({
      ...text, x: place, y, text: literal(told), xanchor: "right", xshift: -5,
      bgcolor: "rgba(255,255,255,0.75)", borderpad: 0,
    })),
  ];
}

/** A title of several words in two lines, a long name parted behind its dots and signs. */
function inLines(title) {
  const words = literal(title).split(" ");
  if (words.length < 2) return words[0].length > LONG_TITLE ? words[0].replace(/([.+])(?=.)/g, "$1<br>") : words[0];
  const half = Math.ceil(words.length / 2);
  return `${words.slice(0, half).join(" ")}<br>${words.slice(half).join(" ")}`;
}
