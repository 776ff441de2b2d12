"use strict";
// The front: trials on validation, finalists and baselines on the test, the teacher's line.

const INK = "#1a1a1a";
const GREY = "#666666";

/** Draws the front for the state's score, size and scale. */
function drawFront() {
  const metric = DATA.metrics[state.metric];
  const trials = scored();
  if (!trials.length) return empty("front-figure", "No trial has ended well yet, so there is no front.");
  const own = trials.map((trial) => trial.scores[state.metric]);
  const finalists = DATA.finalists.filter((each) => each.test[state.metric]);
  const shown = finalists.flatMap((each) => [each.test, each.baseline].flatMap(pairEnds));
  const teacher = DATA.teacher?.test[state.metric] ?? null;
  if (teacher !== null) shown.push(teacher);
  const scale = makeScale(metric, state.scale, [...own, ...shown]);
  const traces = [
    ...clouds(trials, scale),
    steps(trials, scale),
    ...steps(trials.filter((each) => each.method === "none"), scale, true),
    ...links(finalists, scale),
    baselines(finalists, scale),
    ...testedFinalists(finalists, scale),
    ...teacherLine(teacher, trials, scale),
    ...pickMark(finalists, scale),
  ].flat().filter(Boolean);
  const layout = {
    ...BASE,
    dragmode: "select",
    xaxis: { ...AXIS, ...sizeAxis(state.size, trials.map((each) => each.sizes[state.size])) },
    yaxis: { ...AXIS, title: { text: headed(metric) },
             ...scale.axis(...ends(metric, own, shown, state.scale)) },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
    margin: { l: 62, r: 16, t: 10, b: 50 },
  };
  show("front-figure", traces, layout);
}

/** Both ends of the interval of the state's metric; the score alone where there is none. */
function pairEnds(scores) {
  const pair = scores[state.metric];
  return pair ? [pair[0] - (pair[1] ?? 0), pair[0] + (pair[1] ?? 0)] : [];
}

/** The trials of each method; those of finalists tell nothing, since the finalists do. */
function clouds(trials, scale) {
  const judged = new Set(DATA.finalists.map((each) => each.trial));
  return DATA.methods.map((method) => {
    const rows = trials.filter((trial) => trial.method === method.label);
    if (!rows.length) return null;
    return {
      type: "scatter",
      mode: "markers",
      name: method.label === "none" ? `none (${alone()})` : method.label,
      x: rows.map((row) => row.sizes[state.size]),
      y: rows.map((row) => scale.place(row.scores[state.metric])),
      customdata: rows.map((row) => row.trial),
      text: rows.map((row) => judged.has(row.trial) ? "" : trialText(row)),
      hoverinfo: rows.map((row) => judged.has(row.trial) ? "skip" : "text"),
      marker: { color: method.colour, symbol: method.symbol, size: 7, opacity: 0.6 },
      ...marked(rows.map((row) => row.trial)),
    };
  });
}

/** The best on validation of what is no larger; of all trials, or of the undistilled ones. */
function steps(trials, scale, undistilled = false) {
  const metric = DATA.metrics[state.metric];
  const rows = trials.filter((trial) => trial.counts);
  rows.sort((a, b) => a.sizes[state.size] - b.sizes[state.size]
    || lossOf(metric, a.scores[state.metric]) - lossOf(metric, b.scores[state.metric]));
  const best = [];
  for (const row of rows) {
    const loss = lossOf(metric, row.scores[state.metric]);
    if (!best.length || loss < lossOf(metric, best.at(-1).scores[state.metric])) best.push(row);
  }
  if (!best.length) return [];
  const x = best.map((row) => row.sizes[state.size]);
  const y = best.map((row) => scale.place(row.scores[state.metric]));
  x.push(most(trials.map((row) => row.sizes[state.size])));
  y.push(y.at(-1));
  return [{
    type: "scatter",
    mode: "lines",
    name: !undistilled ? "front (validation)" : DATA.domains ? "front without adaptation (validation)" : "undistilled front (validation)",
    x, y,
    line: { shape: "hv", width: 1.6, color: undistilled ? GREY : INK, dash: undistilled ? "dot" : "solid" },
    hoverinfo: "skip",
  }];
}

/** A thin line from what a finalist had on validation to what its seeds have on the test. */
function links(finalists, scale) {
  const x = [], y = [];
  for (const each of finalists) {
    const row = TRIALS.get(each.trial);
    x.push(row.sizes[state.size], row.sizes[state.size], null);
    y.push(scale.place(row.scores[state.metric]), scale.place(each.test[state.metric][0]), null);
  }
  return [{ type: "scatter", mode: "lines", x, y, showlegend: false, hoverinfo: "skip",
            line: { width: 0.8, color: "#555555", dash: "dot" } }];
}

/** The same students without a teacher, on the test. */
function baselines(finalists, scale) {
  const rows = finalists.filter((each) => each.baseline[state.metric] && !each.undistilled);
  return rows.length ? {
    ...tested(rows, "baseline", scale),
    name: DATA.domains ? "baseline without adaptation (test)" : "undistilled baseline (test)",
    marker: { symbol: "circle-open", size: 11, color: GREY, line: { width: 2 } },
  } : null;
}

/** Finalists on the test, each in its method's colour and shape. */
function testedFinalists(finalists, scale) {
  const looks = new Map(DATA.methods.map((method) => [method.label, method]));
  if (!finalists.length) return [];
  return [{
    ...tested(finalists, "test", scale),
    name: "finalist (test)",
    marker: {
      symbol: "diamond", size: 12, line: { width: 2, color: INK },
      color: finalists.map((each) => looks.get(TRIALS.get(each.trial).method).colour),
    },
  }];
}

/** Test scores with intervals, of the finalists or of their baselines. */
function tested(rows, split, scale) {
  const pairs = rows.map((each) => each[split][state.metric]);
  const bars = pairs.map((pair) => pair[1] === null ? [null, null] : scale.bars(pair));
  const colour = split === "test" ? INK : GREY;
  return {
    type: "scatter",
    mode: "markers",
    x: rows.map((each) => TRIALS.get(each.trial).sizes[state.size]),
    y: pairs.map((pair) => scale.place(pair[0])),
    error_y: { type: "data", symmetric: false, array: bars.map((bar) => bar[0]),
               arrayminus: bars.map((bar) => bar[1]), color: colour, width: 4, thickness: 1.3 },
    customdata: rows.map((each) => each.trial),
    text: rows.map(split === "test" ? finalistText : baselineText),
    hoverinfo: "text",
    ...marked(rows.map((each) => each.trial)),
  };
}

/** The teacher's score on the test, across the figure. */
function teacherLine(score, trials, scale) {
  if (score === null) return [];
  const sizes = trials.map((trial) => trial.sizes[state.size]);
  const metric = DATA.metrics[state.metric];
  const large = sizeTold(DATA.teacher.sizes, state.size);
  return [{
    type: "scatter",
    mode: "lines",
    name: "teacher (test)",
    x: spread(least(sizes) / 1.25, most(sizes) * 1.25),
    y: Array(40).fill(scale.place(score)),
    text: ["<b>teacher</b>", large, `test ${told(metric, score)}`].filter(Boolean).join("<br>"),
    hoverinfo: "text",
    line: { color: "#000000", dash: "dash", width: 1.4 },
  }];
}

/** Forty sizes from one to another, so that a line has points to hover over. */
function spread(low, high) {
  return Array.from({ length: 40 }, (_, place) => low * (high / low) ** (place / 39));
}

/** A ring around the student that the study picks. */
function pickMark(finalists, scale) {
  const picked = finalists.find((each) => each.trial === DATA.pick);
  if (!picked) return [];
  return [{
    type: "scatter",
    mode: "markers",
    name: "the pick",
    x: [TRIALS.get(picked.trial).sizes[state.size]],
    y: [scale.place(picked.test[state.metric][0])],
    marker: { symbol: "star-open", size: 24, color: INK, line: { width: 1.6 } },
    hoverinfo: "skip",
  }];
}

/** What a trial is, in the lines of a hover. */
function trialLines(row) {
  const sizes = Object.keys(row.sizes).map((name) => sizeTold(row.sizes, name));
  const values = toldValues(row.values.hyperparameters);
  return [
    `<b>trial ${row.trial}: ${literal(row.method)}</b>${row.front ? ", on the front" : ""}`,
    values && literal(values),
    literal(row.student) + `, learning rate ${digits(row.values.lr)}`,
    row.way && literal(row.way),
    ...sizes,
  ];
}

function trialText(row) {
  const metric = DATA.metrics[state.metric];
  return [...trialLines(row), `validation ${metric.title} ${told(metric, row.scores[state.metric])}`,
          ...otherScores((name) => told(DATA.metrics[name], row.scores[name]))]
    .filter(Boolean).join("<br>");
}

function finalistText(each) {
  const row = TRIALS.get(each.trial), metric = DATA.metrics[state.metric];
  const objective = DATA.metrics[DATA.objective];
  return [
    ...trialLines(row),
    `<b>test ${metric.title} ${toldWhole(metric, each.test[state.metric])}</b>, ${each.seeds} seeds`,
    onSource(each.test) && `on the source: ${toldWhole(metric, onSource(each.test))}`,
    `validation, in the search: ${told(metric, row.scores[state.metric])}`,
    !each.undistilled && each.baseline[state.metric] && `${baselineName(each)}: ${toldWhole(metric, each.baseline[state.metric])}`,
    each.gain && `gain ${toldPair(objective, each.gain, true)} ${objective.gain_unit}`,
    each.retained && `keeps ${(100 * each.retained).toFixed(1)}% of the teacher's`,
    ...otherScores((name) => toldPair(DATA.metrics[name], each.test[name])),
    each.int8[state.metric] != null && `int8: ${toldWhole(metric, [each.int8[state.metric], each.int8[`${state.metric}_ci`] ?? null])}, ${whole(each.int8.bytes)} bytes`,
    each.folder,
  ].filter(Boolean).join("<br>");
}

/** The state's score on the test of the source domain, where there are two. */
function onSource(scores) {
  return scores[`source_${state.metric}`];
}

/** How the baseline of a finalist is trained. */
function baselineName(each) {
  return each.baseline_method ? literal(each.baseline_method) : DATA.domains ? "not adapted" : "undistilled";
}

function baselineText(each) {
  const row = TRIALS.get(each.trial), metric = DATA.metrics[state.metric];
  return `<b>${baselineName(each)} baseline of trial ${each.trial}</b><br>${literal(row.student)}, `
    + `${sizeTold(row.sizes, state.size)}<br>`
    + `test ${metric.title} ${toldWhole(metric, each.baseline[state.metric])}`
    + (onSource(each.baseline) ? `<br>on the source: ${toldWhole(metric, onSource(each.baseline))}` : "");
}

/** The metrics that tables show, beside the one of the axis. */
function otherScores(tell) {
  return columnsOf().filter((name) => name !== state.metric && tell(name))
    .map((name) => `${DATA.metrics[name].head} ${tell(name)}`);
}
