"use strict";
// The page's state, its controls, and what links the figures.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TRIALS = new Map(DATA.trials.map((trial) => [trial.trial, trial]));
// named one by one: plotly's own choice has a button that sends the figure to its maker's server
const CONFIG = { responsive: true, displaylogo: false,
                 modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "select2d", "lasso2d"], ["resetScale2d"]] };
const AXIS = { gridcolor: "#e6e6e6", linecolor: "#888888", zeroline: false, ticks: "outside", tickcolor: "#888888",
               title: { standoff: 8 } };
const BASE = {
  font: { family: "system-ui, 'DejaVu Sans', sans-serif", size: 12, color: "#1a1a1a" },
  paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff",
  hovermode: "closest",
  modebar: { orientation: "v" },
  hoverlabel: { bgcolor: "#ffffff", bordercolor: "#888888", align: "left", font: { size: 12, color: "#1a1a1a" } },
  margin: { l: 56, r: 16, t: 10, b: 46 },
};
const PRINTED = 690;

/** What the figures show; `chosen` holds numbers of trials, or is null where none are brushed. */
const state = {
  metric: DATA.objective, size: DATA.size, scale: "score", chosen: null, source: null,
  compute: "epochs", by: "best_score", curve: DATA.objective, responseMethod: "", responseColour: "behind",
};

/** Trials that ran to their end. */
function complete() {
  return DATA.trials.filter((trial) => trial.status === "complete" && state.size in trial.sizes);
}

/** Those of them that have the state's score. */
function scored() {
  return complete().filter((trial) => trial.scores[state.metric] !== undefined);
}

/** What plotly is told of the points of a trace, by their trials, where some are chosen. */
function marked(trials) {
  const places = state.chosen === null ? null
    : trials.flatMap((trial, place) => state.chosen.has(trial) ? [place] : []);
  return { selectedpoints: places, selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 0.12 } } };
}

/** Draws a figure, and links it the first time. */
function show(id, traces, layout) {
  const figure = document.getElementById(id);
  figure.classList.remove("empty");
  if (layout.height) figure.style.height = `${layout.height}px`;
  if (!figure.classList.contains("js-plotly-plot")) figure.replaceChildren();
  // the box that a reader has brushed stays in that figure alone
  const selections = state.source === id && figure.layout ? figure.layout.selections : [];
  const linked = figure.classList.contains("js-plotly-plot");
  Plotly.react(figure, traces, { ...layout, selections, selectionrevision: Math.random() }, CONFIG);
  if (linked) return;
  figure.on("plotly_selected", (event) => event && choose(trialsOf(event.points), id));
  figure.on("plotly_deselect", () => choose(null));
  figure.on("plotly_click", (event) => choose(trialsOf(event.points), id));
}

/** Says in place of a figure why there is none. */
function empty(id, reason) {
  const figure = document.getElementById(id);
  if (figure.classList.contains("js-plotly-plot")) Plotly.purge(figure);
  figure.classList.add("empty");
  figure.textContent = reason;
}

/** The trials of some points; null where there are none. */
function trialsOf(points) {
  const trials = points.map((point) => point.customdata).filter((trial) => trial !== undefined && trial !== null);
  return trials.length ? new Set(trials) : null;
}

/** Chooses trials in all figures and in the table. */
function choose(trials, source = null) {
  state.chosen = trials;
  state.source = source;
  document.getElementById("clear").disabled = trials === null;
  drawLinked();
}

function drawLinked() {
  drawFront();
  drawParallel();
  drawCurves();
  drawResponse();
  fillChosen();
  for (const row of document.querySelectorAll("#finalists tr[data-trial]")) {
    row.classList.toggle("chosen", state.chosen !== null && state.chosen.has(Number(row.dataset.trial)));
  }
}

function frontNote() {
  if (!scored().length) return "";
  const metric = DATA.metrics[state.metric];
  const teacher = DATA.teacher?.test[state.metric] === undefined || DATA.teacher === null ? ""
    : " Dashed line: the teacher on the test.";
  const tests = DATA.domains ? " Validation and test are of the target domain." : "";
  const error = state.scale === "error"
    ? ` The axis is logarithmic in ${metric.loss_title}, since good scores crowd near the best; a score without any error `
      + "stands at the edge." : "";
  return "Small marks: trials, one training each, scored on validation, by which the front (line) is chosen. Diamonds: "
    + "finalists, trained again with several seeds and scored on the test, mean ± 95 % interval, in their method's colour; "
    + `circles: the same students ${DATA.domains ? "without adaptation" : "without a teacher"}.${tests} `
    + "Test and validation are different samples, and the best of many "
    + "trials has been lucky, so that a diamond often lies below the line; a dotted line joins a finalist to its trial."
    + `${teacher}${error} ${DATA.pick === null ? "" : "Star: the pick. "}Brush over marks to see them in the table and in the other figures; double-click to end that.`;
}

/** Fills a select with choices and follows it. */
function control(id, choices, value, chosen) {
  const select = document.getElementById(id);
  select.replaceChildren(...choices.map(([name, title]) => new Option(title, name, false, name === value)));
  select.addEventListener("change", () => chosen(select.value));
  select.closest("label").hidden = choices.length < 2;
}

/** Takes the scale that shows the scores best, and offers the logarithmic one where it is possible. */
function rescale() {
  const losses = scored().map((trial) => lossOf(DATA.metrics[state.metric], trial.scores[state.metric]));
  state.scale = losses.length && crowded(losses) ? "error" : "score";
  document.querySelector("#scale option[value=error]").disabled = !hasErrors(losses);
}

function drawScaled() {
  document.getElementById("scale").value = state.scale;
  document.getElementById("front-note").textContent = frontNote();
  drawLinked();
}

function startControls() {
  const metrics = Object.keys(DATA.metrics).filter((name) => DATA.trials.some((trial) => name in trial.scores));
  const sizes = Object.keys(DATA.size_names).filter((name) => DATA.trials.some((trial) => name in trial.sizes));
  control("metric", metrics.map((name) => [name, DATA.metrics[name].title]), state.metric, (name) => {
    state.metric = name;
    rescale();
    drawScaled();
  });
  control("size", sizes.map((name) => [name, DATA.size_names[name]]), state.size, (name) => {
    state.size = name;
    drawScaled();
  });
  control("scale", [["score", "score"], ["error", "log of the error"]], state.scale, (kind) => {
    state.scale = kind;
    drawScaled();
  });
  control("compute", Object.entries(COMPUTE), state.compute, (name) => {
    state.compute = name;
    drawProgress();
  });
  const metric = DATA.metrics[DATA.objective];
  control("by", [["best_score", `best ${metric.title}`], ["hypervolume", "hypervolume"]], state.by, (name) => {
    state.by = name;
    drawMethods();
  });
  const told = (name) => DATA.metrics[name]?.title ?? "training loss";
  control("curve", DATA.curves.names.map((name) => [name, told(name)]), state.curve, (name) => {
    state.curve = name;
    drawCurves();
  });
  const methods = [...new Set(DATA.trials.filter((row) => row.response).map((row) => row.method))].sort();
  control("response-method", [["", "all"], ...methods.map((name) => [name, name])], "", (name) => {
    state.responseMethod = name;
    drawResponse();
  });
  control("response-colour", [["behind", "distance to the best no larger"], ["score", metric.title]], "behind", (name) => {
    state.responseColour = name;
    drawResponse();
  });
  document.getElementById("clear").addEventListener("click", () => choose(null));
}

function startHead() {
  const { name, state: condition, reason, phase, changed, facts } = DATA.study;
  document.getElementById("title").textContent = name;
  const verdict = DATA.verdict ? `${DATA.verdict[0].toUpperCase()}${DATA.verdict.slice(1)}.` : "";
  document.getElementById("verdict").textContent = verdict;
  if (condition !== "finished") {
    const warning = document.getElementById("unfinished");
    warning.hidden = false;
    warning.textContent = `This study has not ended (${condition}${phase ? `, phase ${phase}` : ""}${reason ? `: ${reason}` : ""}); `
      + `the page tells what there was at ${changed}.`;
  }
  const list = document.getElementById("facts");
  const picked = DATA.finalists.find((each) => each.trial === DATA.pick);
  const told = picked ? [["The pick", pickText(picked)]] : [];
  for (const [title, text] of [...told, ...facts, ["Last change", changed]]) {
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = title;
    detail.textContent = text;
    list.append(term, detail);
  }
}

/** The student to ship, in a sentence. */
function pickText(each) {
  const row = TRIALS.get(each.trial), metric = DATA.metrics[DATA.objective];
  const kept = each.retained ? `, ${(100 * each.retained).toFixed(1)} % of the teacher's` : "";
  const known = each.test[`source_${DATA.objective}`];
  const source = known ? ` on the target and ${toldWhole(metric, known)} on the source` : "";
  const where = each.folder ? `; ${each.folder}` : "";
  return `trial ${each.trial}, ${row.method}: ${row.student}, ${sizeTold(row.sizes, DATA.size)}, `
    + `test ${metric.title} ${toldWhole(metric, each.test[DATA.objective])}${source}${kept}${where}. It is the smallest within one `
    + "standard error of the best on validation; kdsearch pick chooses within limits of your own.";
}

/** Figures as wide as a page of paper while it is printed. */
function fitPaper(printing) {
  for (const figure of document.querySelectorAll(".js-plotly-plot")) {
    if (printing) Plotly.relayout(figure, { width: PRINTED, height: figure.clientHeight, autosize: false });
    else Plotly.relayout(figure, { width: null, height: null, autosize: true });
  }
}

function start() {
  startHead();
  startControls();
  rescale();
  fillFinalists();
  drawScaled();
  drawProgress();
  drawMethods();
  fillWays();
  drawImportance();
  document.getElementById("progress-note").textContent = progressNote();
  document.getElementById("methods-note").textContent = methodsNote();
  document.getElementById("ways-note").textContent = waysNote();
  document.getElementById("importance-note").textContent = importanceNote();
  document.getElementById("response-note").textContent = responseNote();
  window.addEventListener("beforeprint", () => fitPaper(true));
  window.addEventListener("afterprint", () => fitPaper(false));
}

start();
