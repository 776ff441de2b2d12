"use strict";
// Hypervolume against compute, methods at equal budget, importance of hyperparameters.

const COMPUTE = { epochs: "epochs trained", seconds: "seconds of training", trials: "complete trials" };

/** The hypervolume over what the search has spent. */
function drawProgress() {
  const rows = DATA.progress;
  if (!rows.length) return empty("progress-figure", "No trial has ended well yet.");
  show("progress-figure", [{
    type: "scatter",
    mode: rows.length > 1 ? "lines" : "markers",
    x: rows.map((row) => row[state.compute]),
    y: rows.map((row) => 100 * row.hypervolume),
    line: { shape: "hv", width: 2, color: "#225588" },
    marker: { size: 9 },
    cliponaxis: false,
    fill: "tozeroy",
    fillcolor: "rgba(34, 85, 136, 0.08)",
    text: rows.map((row) => `${whole(row.trials)} complete trials, ${whole(row.epochs)} epochs, `
      + `${digits(row.seconds)} s<br>hypervolume ${(100 * row.hypervolume).toFixed(2)}%`),
    hoverinfo: "text",
  }], {
    ...BASE,
    xaxis: { ...AXIS, title: { text: COMPUTE[state.compute] }, rangemode: "tozero" },
    yaxis: { ...AXIS, title: { text: "hypervolume (%)" }, rangemode: "tozero" },
    showlegend: false,
  });
}

function progressNote() {
  const metric = DATA.metrics[DATA.objective];
  const sizes = DATA.searched_sizes.map((name) => DATA.size_names[name]).join(" and ");
  return `Share of the box of ${metric.loss_title} × relative log size (${sizes}, the teacher's is 1) that the `
    + "validation front dominates. Epochs and seconds are added up over all trials, also those that were paused, "
    + "stopped or failed. Where the line stays level, more trials of this kind bring little.";
}

/** What so many trials of each method reach, with intervals. */
function drawMethods() {
  const metric = DATA.metrics[DATA.objective];
  const score = state.by === "best_score";
  const times = score ? factor(metric) : 100;
  const rows = DATA.ranking.filter((row) => row[state.by] !== null);
  if (!rows.length) return empty("methods-figure", "No method has enough complete trials yet.");
  rows.sort((a, b) => score ? lossOf(metric, b[state.by]) - lossOf(metric, a[state.by]) : a[state.by] - b[state.by]);
  const looks = new Map(DATA.methods.map((method) => [method.label, method]));
  const mid = rows.map((row) => times * row[state.by]);
  const unit = score ? metric.unit : "%";
  const form = (value) => score ? bare(metric, value / times) : value.toFixed(2);
  show("methods-figure", [{
    type: "scatter",
    mode: "markers",
    x: mid,
    y: rows.map((row) => row.method),
    marker: { size: 11, color: rows.map((row) => looks.get(row.method).colour),
              symbol: rows.map((row) => looks.get(row.method).symbol) },
    error_x: {
      type: "data", symmetric: false, thickness: 1.4, width: 5, color: "#444444",
      array: rows.map((row, place) => times * row[`${state.by}_high`] - mid[place]),
      arrayminus: rows.map((row, place) => mid[place] - times * row[`${state.by}_low`]),
    },
    text: rows.map((row, place) => `<b>${literal(row.method)}</b>, ${row.trials} complete trials<br>`
      + `${form(mid[place])} [${form(times * row[`${state.by}_low`])}, ${form(times * row[`${state.by}_high`])}] ${unit}`),
    hoverinfo: "text",
  }], {
    ...BASE,
    xaxis: { ...AXIS, title: { text: score ? headed(metric, `best ${metric.title}`) : "hypervolume (%)" } },
    yaxis: { ...AXIS, type: "category", automargin: true },
    margin: { l: 20, r: 16, t: 10, b: 50 },
    showlegend: false,
  });
}

function methodsNote() {
  const enough = DATA.ranking.filter((row) => row.hypervolume !== null);
  const few = DATA.ranking.filter((row) => row.hypervolume === null);
  const left = few.length ? ` Too few complete trials: ${few.map((row) => `${row.method} (${row.trials})`).join(", ")}.` : "";
  if (!enough.length) return left;
  return `What ${enough[0].budget} complete trials of a method reach on validation: the same number for each, so that `
    + "none has had more chances. Bars: 95 % intervals over trials (bootstrap), not over training seeds; the sampler "
    + `chose the trials.${left}`;
}

/** What so many trials of each way reach with students of at most some sizes; nothing where there is one way. */
function fillWays() {
  document.getElementById("ways").hidden = !DATA.ways.length;
  if (!DATA.ways.length) return;
  const metric = DATA.metrics[DATA.objective];
  const heads = [[`at most ${sizeHead(DATA.ways[0].size)}`, true], ["way", false],
                 [headed(metric, `best ${metric.head}`), true], ["95 % interval", true],
                 ["trials so small", true], ["clear", false]];
  fillTable("ways-table", heads, DATA.ways.map((row) => ({
    cells: [
      row.first ? whole(row.at_most) : "", row.way,
      ...(row.fits ? [bare(metric, row.best_score),
                      `${bare(metric, row.best_score_low)} to ${bare(metric, row.best_score_high)}`] : ["", ""]),
      `${row.fits} of ${row.trials}`, row.clear ? "yes" : "",
    ],
  })));
}

function waysNote() {
  if (!DATA.ways.length) return "";
  const few = Object.entries(DATA.ways_of_few).map(([label, count]) => `${label} (${count})`);
  const left = few.length ? ` Too few complete trials: ${few.join(", ")}.` : "";
  return `What ${DATA.ways[0].budget} complete trials of a way reach on validation with students of at most this size: the `
    + "same number for each, whatever their method. A trial whose student is larger counts as the worst. Clear: the "
    + "interval of the lead over the second leaves out 0. Intervals are over trials (bootstrap), "
    + `not over training seeds.${left}`;
}

/** A figure of bars for each objective, in cards side by side. */
function drawImportance() {
  const holder = document.getElementById("importance-figures");
  const objectives = [...new Set(DATA.importance.rows.map((row) => row.objective))];
  if (!holder.children.length) {
    for (const [place] of objectives.entries()) {
      const figure = document.createElement("div");
      figure.className = "figure";
      figure.id = `importance-${place}`;
      holder.append(figure);
    }
  }
  objectives.forEach((objective, place) => drawImportanceOf(objective, `importance-${place}`));
}

const MOST_BARS = 12;

function drawImportanceOf(objective, id) {
  const rows = DATA.importance.rows
    .filter((row) => row.objective === objective && row.importance !== null)
    .slice(0, MOST_BARS).reverse();
  const title = DATA.metrics[objective]?.title ?? DATA.size_names[objective] ?? objective;
  if (!rows.length) return empty(id, `${title}: too few complete trials to tell.`);
  const names = rows.map((row) => `${row.parameter} (${row.trials})`);
  show(id, [{
    type: "bar",
    orientation: "h",
    name: "importance",
    x: rows.map((row) => row.importance),
    y: names,
    marker: { color: rows.map((row) => row.clear ? "#4477aa" : "#c8d4e0"), line: { width: 0.8, color: "#4477aa" } },
    text: rows.map((row) => `<b>${literal(row.parameter)}</b>, in ${row.trials} complete trials<br>importance `
      + `${digits(row.importance)}, by chance up to ${digits(row.chance)}`),
    textposition: "none",
    hoverinfo: "text",
  }, {
    type: "scatter",
    mode: "markers",
    name: "by chance",
    x: rows.map((row) => row.chance),
    y: names,
    marker: { symbol: "line-ns-open", size: 14, color: INK, line: { width: 2 } },
    hoverinfo: "skip",
  }], {
    ...BASE,
    height: Math.max(200, 90 + 24 * rows.length),
    xaxis: { ...AXIS, title: { text: `importance for ${title}` }, rangemode: "tozero" },
    yaxis: { ...AXIS, automargin: true, type: "category" },
    margin: { l: 20, r: 16, t: 10, b: 50 },
    bargap: 0.35,
    showlegend: false,
  });
}

function importanceNote() {
  const { rows, problem, min_trials: least, shuffles, top } = DATA.importance;
  if (problem) return `It cannot be told: ${problem}`;
  const few = new Map(rows.filter((row) => row.importance === null).map((row) => [row.parameter, row.trials]));
  const left = few.size ? ` Fewer than ${least}, so nothing is told: ${[...few].map(([name, count]) => `${name} (${count})`).join(", ")}.` : "";
  return `Optuna's PED-ANOVA: how far the best ${100 * top} % of the trials, by one objective, lie in another part of a `
    + "hyperparameter's range than all do. Judged among the complete trials that have it (their number in brackets). "
    + `Upright mark: the most that ${shuffles} shuffles of the scores give by chance; pale bars stay below it.${left}`;
}
