"use strict";
// Learning curves with pauses and stops.

const MOST_CURVES = 150;
const ENDS = {
  paused: { name: "paused", symbol: "circle-open", size: 8, color: INK },
  stopped: { name: "stopped", symbol: "x-thin-open", size: 7, color: INK },
  failed: { name: "failed", symbol: "triangle-down-open", size: 9, color: "#aa3377" },
};

function drawCurves() {
  const name = state.curve;
  const rows = DATA.trials.filter((row) => String(row.trial) in DATA.curves.trials);
  const chosen = rows.filter((row) => state.chosen === null || state.chosen.has(row.trial));
  // of very many, those of the front and the last of the others
  const drawn = chosen.length <= MOST_CURVES ? chosen
    : [...chosen.filter((row) => row.front), ...chosen.filter((row) => !row.front).slice(-MOST_CURVES)];
  document.getElementById("curves-note").textContent = curvesNote(chosen.length, drawn.length);
  if (!drawn.length) return empty("curves-figure", "No trial has finished an epoch.");
  const metric = DATA.metrics[name] ?? null;
  const values = drawn.flatMap((row) => DATA.curves.trials[row.trial][name]).filter((value) => value !== null);
  if (!values.length) return empty("curves-figure", "No trial has these values.");
  const kind = metric && crowded(values.map((value) => lossOf(metric, value))) ? "error" : "score";
  const scale = metric ? makeScale(metric, kind, values) : { place: (value) => value };
  const last = most(drawn.map((row) => row.epochs));
  const traces = DATA.methods.map((method) =>
    curveLines(method, drawn.filter((row) => row.method === method.label), scale));
  const axis = metric ? scale.axis(...ends(metric, values, [], kind)) : { type: values.every((v) => v > 0) ? "log" : "linear" };
  show("curves-figure", [...traces.filter((trace) => trace.x.length), ...curveMarks(drawn, scale)], {
    ...BASE,
    dragmode: "zoom",
    xaxis: { ...AXIS, title: { text: "epoch" }, range: [0.5, last + 0.5], ...(last < 8 ? { dtick: 1 } : {}) },
    yaxis: { ...AXIS, title: { text: metric ? headed(metric) : "training loss" }, ...axis },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    margin: { l: 62, r: 16, t: 10, b: 46 },
  });
}

/** The curves of one method as one trace, with gaps between trials. */
function curveLines(method, rows, scale) {
  const x = [], y = [], customdata = [], text = [];
  for (const row of rows) {
    DATA.curves.trials[row.trial][state.curve].forEach((value, epoch) => {
      x.push(epoch + 1);
      y.push(value === null ? null : scale.place(value));
      customdata.push(row.trial);
      text.push(curveText(row, value, epoch + 1));
    });
    x.push(null), y.push(null), customdata.push(null), text.push("");
  }
  return { type: "scatter", mode: "lines", name: method.label, x, y, customdata, text, hoverinfo: "text",
           line: { color: method.colour, width: 1.1 }, opacity: 0.7 };
}

function curveText(row, value, epoch) {
  const metric = DATA.metrics[state.curve];
  const score = metric ? told(metric, value) : digits(value);
  return `<b>trial ${row.trial}: ${literal(row.method)}</b><br>${[literal(row.student), sizeTold(row.sizes, state.size)].filter(Boolean).join(", ")}`
    + `<br>epoch ${epoch}: ${score}`;
}

/** Marks where trials were paused, and where they were stopped or failed. */
function curveMarks(rows, scale) {
  const found = { paused: [[], []], stopped: [[], []], failed: [[], []] };
  const mark = (kind, row, epoch) => {
    const value = DATA.curves.trials[row.trial][state.curve][epoch - 1];
    if (value === null || value === undefined) return;
    found[kind][0].push(epoch);
    found[kind][1].push(scale.place(value));
  };
  for (const row of rows) {
    const { paused } = DATA.curves.trials[row.trial];
    const ended = row.status === "stopped" || row.status === "failed";
    for (const epoch of paused) if (!(ended && epoch === row.epochs)) mark("paused", row, epoch);
    if (ended) mark(row.status, row, row.epochs);
  }
  return Object.entries(found).filter(([, [x]]) => x.length).map(([kind, [x, y]]) => ({
    type: "scatter", mode: "markers", x, y, name: ENDS[kind].name, hoverinfo: "skip",
    marker: { symbol: ENDS[kind].symbol, size: ENDS[kind].size, color: ENDS[kind].color, line: { width: 1.2 } },
  }));
}

function curvesNote(chosen, drawn) {
  const some = drawn < chosen ? ` ${drawn} of ${chosen} are drawn: the front's and the latest.` : "";
  return "Each line is a trial; circles: paused at a rung, and went on later; crosses: stopped there for good. "
    + `Trials that are brushed in another figure are drawn alone.${some}`;
}
