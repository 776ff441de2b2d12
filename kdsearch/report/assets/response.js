"use strict";
// How temperature and weight of the term on logits answer: a dot for each complete trial.

/** Complete trials of the chosen method, or of all, whose method has both values. */
function responding() {
  return complete().filter((row) => row.response
    && (state.responseMethod === "" || row.method === state.responseMethod));
}

/** How far each trial stays behind the best that is no larger, in the metric's unit, by trial. */
function behind() {
  const metric = DATA.metrics[DATA.objective];
  const rows = complete().filter((row) => row.scores[DATA.objective] !== undefined);
  rows.sort((a, b) => a.sizes[state.size] - b.sizes[state.size]);
  const losses = rows.map((row) => lossOf(metric, row.scores[DATA.objective]));
  const found = new Map();
  let best = Infinity, seen = 0;
  rows.forEach((row, place) => {
    while (seen < rows.length && rows[seen].sizes[state.size] <= row.sizes[state.size]) best = Math.min(best, losses[seen++]);
    found.set(row.trial, losses[place] - best);
  });
  return found;
}

function drawResponse() {
  const rows = responding();
  if (rows.length < 3) return empty("response-figure", "Fewer than three complete trials have a temperature and a weight.");
  const metric = DATA.metrics[DATA.objective];
  const gaps = state.responseColour === "behind" ? behind() : null;
  const times = factor(metric);
  const value = (row) => times * (gaps ? gaps.get(row.trial) : row.scores[DATA.objective]);
  const colours = rows.map(value).sort((a, b) => a - b);
  // the worst tenth shares a colour, so that a trial that went wrong does not make all others alike
  const [low, high] = [colours[0], colours[colours.length - 1]];
  const bounds = gaps ? [0, colours[Math.floor(0.9 * (colours.length - 1))] || high || 1]
    : metric.better === "higher" ? [colours[Math.floor(0.1 * (colours.length - 1))], high]
      : [low, colours[Math.floor(0.9 * (colours.length - 1))]];
  const darkIsGood = gaps !== null || metric.better === "lower";
  const axis = (name) => {
    const own = rows.map((row) => row.response[name]);
    const low = least(own) / 1.15, high = most(own) * 1.15;
    if (low <= 0) return { ...AXIS, title: { text: name } };
    const marks = ticks(low, high);
    return { ...AXIS, title: { text: name }, type: "log", tickvals: marks, ticktext: marks.map(short),
             range: [Math.log10(low), Math.log10(high)] };
  };
  show("response-figure", [{
    type: "scatter",
    mode: "markers",
    x: rows.map((row) => row.response.temperature),
    y: rows.map((row) => row.response.weight),
    customdata: rows.map((row) => row.trial),
    text: rows.map((row) => trialText(row) + (gaps ? `<br>behind the best no larger: ${bare(metric, gaps.get(row.trial))}` : "")),
    hoverinfo: "text",
    marker: {
      size: 10, color: rows.map(value), cmin: bounds[0], cmax: bounds[1],
      symbol: rows.map((row) => DATA.methods.find((method) => method.label === row.method).symbol),
      colorscale: "Cividis", reversescale: !darkIsGood, line: { width: 0.6, color: "#444444" },
      colorbar: { title: { text: gaps ? behindTitle(metric) : headed(metric, metric.head), side: "right" }, thickness: 14, len: 0.95 },
    },
    ...marked(rows.map((row) => row.trial)),
  }], {
    ...BASE,
    dragmode: "select",
    xaxis: axis("temperature"),
    yaxis: axis("weight"),
    margin: { l: 56, r: 10, t: 10, b: 46 },
    showlegend: false,
  });
}

function behindTitle(metric) {
  return `behind the best no larger${isShare(metric) ? " (points)" : metric.unit ? ` (${metric.unit})` : ""}`;
}

function responseNote() {
  const marks = DATA.methods.filter((method) => DATA.trials.some((row) => row.method === method.label && row.response))
    .map((method) => `${method.symbol.replace(/-/g, " ")} ${method.label}`);
  return "Temperature and weight of the term on logits. Dark dots are good. By the distance to the best trial that is no "
    + "larger, students of all sizes can be compared; a score alone tells mostly how large a student is. "
    + (marks.length ? `Shapes: ${marks.join(", ")}.` : "");
}
