"use strict";
// The table beside the front, of the trials that are chosen, and the table of the finalists.

/** Names of the metrics of tables: the objectives, those to be shown, agreement and calibration. */
function columnsOf() {
  const names = [DATA.objective, ...DATA.more];
  for (const [name, metric] of Object.entries(DATA.metrics)) {
    if (metric.shown !== "never" && !names.includes(name)) names.push(name);
  }
  return names;
}

/** Fills a table.
 *
 * @param id The table's id.
 * @param heads Each column's title, and whether it holds numbers.
 * @param rows Each with `cells`, and with `trial` where a click chooses it.
 */
function fillTable(id, heads, rows) {
  const table = document.getElementById(id);
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const [title, numeric] of heads) {
    const cell = document.createElement("th");
    cell.textContent = title;
    cell.scope = "col";
    cell.className = (numeric ? "number" : "") + (title.length > 12 ? " wraps" : "");
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { cells, trial } of rows) {
    const row = body.insertRow();
    cells.forEach((text, place) => {
      const cell = row.insertCell();
      cell.textContent = text ?? "";
      cell.className = heads[place][1] ? "number" : ["values", "way"].includes(heads[place][0]) ? "wraps" : "";
    });
    if (trial !== undefined) linkRow(row, trial);
  }
}

/** A click on a row, or Enter, chooses its trial. */
function linkRow(row, trial) {
  row.tabIndex = 0;
  row.dataset.trial = trial;
  row.classList.toggle("chosen", state.chosen !== null && state.chosen.has(trial));
  const pick = () => choose(new Set([trial]));
  row.addEventListener("click", pick);
  row.addEventListener("keydown", (event) => event.key === "Enter" && pick());
}

/** The trials that are chosen, small to large; without any, the finalists. */
function fillChosen() {
  const wanted = state.chosen ?? new Set(DATA.finalists.map((each) => each.trial));
  const rows = DATA.trials.filter((row) => wanted.has(row.trial));
  // what has no such size, because it failed before it was measured, comes last
  const large = (row) => row.sizes[state.size] ?? Number.MAX_VALUE;
  rows.sort((a, b) => large(a) - large(b));
  const metric = DATA.metrics[state.metric];
  const which = state.chosen === null ? "Finalists" : rows.length === 1 ? "1 trial" : `${rows.length} trials`;
  document.getElementById("chosen-title").textContent = `${which}: ${headed(metric)}`;
  const finalists = new Map(DATA.finalists.map((each) => [each.trial, each]));
  const ways = rows.some((row) => row.way);
  fillTable("chosen", [
    ["trial", true], ["method", false], ["student", false], ...(ways ? [["way", false]] : []),
    [sizeHead(state.size), true], ["validation", true], ["test", true],
  ], rows.map((row) => ({
    trial: row.trial,
    cells: [
      row.trial, row.method, row.student, ...(ways ? [row.way] : []), plainNumber(row.sizes[state.size]),
      row.scores[state.metric] === undefined ? row.status : bare(metric, row.scores[state.metric]),
      toldPair(metric, finalists.get(row.trial)?.test[state.metric]),
    ],
  })));
}

/** Every finalist with its scores. */
function fillFinalists() {
  if (!DATA.finalists.length) {
    document.getElementById("finalists-note").textContent =
      "No finalist has been judged on the test yet.";
    return;
  }
  const objective = DATA.metrics[DATA.objective];
  const names = columnsOf().filter((name) => DATA.finalists.some((each) => each.test[name]));
  const uneven = new Set(DATA.finalists.map((each) => each.seeds)).size > 1;
  const beaten = DATA.finalists.some((each) => each.beaten_by !== null);
  const retained = DATA.finalists.some((each) => each.retained);
  const others = DATA.finalists.some((each) => each.baseline_method);
  const chained = DATA.finalists.some((each) => each.start === "chain");
  const ways = DATA.finalists.some((each) => TRIALS.get(each.trial).way);
  const heads = [
    ["trial", true], ["method", false], ["values", false], ["student", false],
    ...(ways ? [["way", false]] : []), [sizeHead(DATA.size), true],
    ...names.flatMap((name) => testHeads(name)),
    [headed(objective, others ? `baseline ${objective.head}` : DATA.domains ? `${objective.head} without adaptation` : `undistilled ${objective.head}`), true],
    ...(DATA.domains ? [[headed(objective, "on source without adaptation"), true]] : []),
    [`gain (${objective.gain_unit})`, true],
    ...(retained ? [["of the teacher's (%)", true]] : []),
    ...(chained ? [["trained", false]] : []),
    ...(beaten ? [["beaten by trial", true]] : []),
    ...(uneven ? [["seeds", true]] : []),
  ];
  fillTable("finalists-table", heads, DATA.finalists.map((each) => {
    const row = TRIALS.get(each.trial);
    return {
      trial: each.trial,
      cells: [
        `${each.trial}${each.member ? "" : " *"}`, row.method, toldValues(row.values.hyperparameters), row.student,
        ...(ways ? [row.way] : []),
        whole(row.sizes[DATA.size]),
        ...names.flatMap((name) => testCells(name, each.test)),
        each.undistilled ? "itself" : toldBaseline(objective, each),
        ...(DATA.domains ? [each.undistilled ? "itself" : toldPair(objective, each.baseline[`source_${DATA.objective}`])] : []),
        toldPair(objective, each.gain, true),
        ...(retained ? [each.retained ? (100 * each.retained).toFixed(1) : ""] : []),
        ...(chained ? [each.start === "chain" ? "in a chain" : "from scratch"] : []),
        ...(beaten ? [each.beaten_by ?? ""] : []),
        ...(uneven ? [each.seeds] : []),
      ],
    };
  }));
  document.getElementById("finalists-note").textContent = finalistsNote(fillCosts());
}

/** Heads of a test score: of the objective that of either domain, where there are two. */
function testHeads(name) {
  const metric = DATA.metrics[name];
  if (!DATA.domains || name !== DATA.objective) return [[headed(metric, `test ${metric.head}`), true]];
  return [[headed(metric, `${metric.head} on target`), true], [headed(metric, `${metric.head} on source`), true]];
}

/** The cells below them. */
function testCells(name, scores) {
  const names = DATA.domains && name === DATA.objective ? [name, `source_${name}`] : [name];
  return names.map((each) => toldPair(DATA.metrics[name], scores[each]));
}

/** The baseline's score, and its method where it is not trained by the labels alone. */
function toldBaseline(objective, each) {
  const score = toldPair(objective, each.baseline[DATA.objective]);
  return each.baseline_method && score ? `${score} by ${each.baseline_method}` : score;
}

/** Every finalist with its sizes, as it is and after quantization; returns whether any is quantized. */
function fillCosts() {
  const names = [...new Set(DATA.finalists.flatMap((each) => Object.keys(each.sizes)))];
  const int8 = int8Columns();
  const heads = [["trial", true], ["method", false], ["student", false],
                 ...names.map((name) => [sizeHead(name), true]), ...int8.map(([head]) => [head, true])];
  fillTable("costs-table", heads, DATA.finalists.map((each) => ({
    trial: each.trial,
    cells: [
      each.trial, TRIALS.get(each.trial).method, TRIALS.get(each.trial).student,
      ...names.map((name) => plainNumber(each.sizes[name])),
      ...int8.map(([, tell]) => tell(each.int8)),
    ],
  })));
  return int8.length > 0;
}

/** A large number as it is, a small one to four digits. */
function plainNumber(value) {
  if (value === null || value === undefined) return "";
  return Math.abs(value) >= 1000 ? whole(value) : digits(value, 4);
}

/** A size above a column. */
function sizeHead(name) {
  return { macs: "MACs", latency: "latency (µs)", int8_latency: "int8 latency (µs)",
           peak_memory: "peak memory (bytes)", onnx_bytes: "ONNX bytes" }[name] ?? name.replace(/_/g, " ");
}

/** Columns of the students after quantization: heads, and what tells a finalist's cell. */
function int8Columns() {
  const objective = DATA.metrics[DATA.objective];
  const pair = (name) => (values) => toldPair(objective, values[name] == null ? null : [values[name], values[`${name}_ci`] ?? null]);
  const loss = (values) => pair("loss")(values) + (values.loses_more ? " !" : "");
  const known = [
    [headed(objective, `int8 ${objective.head}`), pair(DATA.objective)],
    ["int8 bytes", (values) => values.bytes == null ? "" : whole(values.bytes)],
    [`lost by int8${isShare(objective) ? " (points)" : ""}`, loss],
    ["int8 front", (values) => values.front ? "yes" : ""],
  ];
  const more = [...new Set(DATA.finalists.flatMap((each) => Object.keys(each.int8)))]
    .filter((name) => !INT8_KNOWN.includes(name) && name !== DATA.objective && !name.endsWith("_ci"))
    .map((name) => [`int8 ${sizeHead(name)}`, (values) => plainNumber(values[name])]);
  return [...known, ...more].filter(([, tell]) => DATA.finalists.some((each) => tell(each.int8)));
}

const INT8_KNOWN = ["bytes", "loss", "loses_more", "front", "reason"];

function finalistsNote(quantized) {
  const objective = DATA.metrics[DATA.objective];
  const near = DATA.finalists.some((each) => !each.member) ? " *: within noise of the validation front, on which it is not." : "";
  const seeds = most(DATA.finalists.map((each) => each.seeds));
  const tests = DATA.domains ? "the tests of target and source" : "the test";
  const how = DATA.domains ? "that is not adapted to the target" : "trained without a teacher";
  return `Mean ± 95 % interval (Student's t) over ${seeds} seeds, on ${tests}, which the search has not seen. `
    + `Gain: ${objective.title}${DATA.domains ? " on the target" : ""} beyond the same student ${how} under the same budget, at its own best `
    + `learning rate and weight decay, paired by seed; its interval tells whether ${DATA.domains ? "adaptation" : "distillation"} helps.${near}`
    + (quantized ? " int8: after quantization of the trained students; !: it costs clearly more than it should." : "")
    + DATA.finalists.filter((each) => each.int8.reason).map((each) => ` Trial ${each.trial} has no int8: ${each.int8.reason}.`).join("");
}
