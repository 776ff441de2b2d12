"use strict";
// Numbers in words: each score by its metric, in its unit.

/** The least of some numbers, however many they are. */
function least(values) {
  return values.reduce((low, value) => Math.min(low, value), Infinity);
}

/** The largest of some numbers, however many they are. */
function most(values) {
  return values.reduce((high, value) => Math.max(high, value), -Infinity);
}

/** What a baseline is: not distilled, or in a study with a target domain not adapted. */
function alone() {
  return DATA.domains ? "without adaptation" : "undistilled";
}

/** A plain number with so many significant digits, thousands apart. */
function digits(value, count = 3) {
  if (value === null || value === undefined) return "";
  return value.toLocaleString("en", { maximumSignificantDigits: count });
}

/** A whole size, such as 12,345. */
function whole(value) {
  return Math.round(value).toLocaleString("en");
}

/** A size with its name, such as 12,345 parameters; nothing where it is not known. */
function sizeTold(sizes, name) {
  return sizes[name] === undefined ? "" : `${whole(sizes[name])} ${DATA.size_names[name] ?? name}`;
}

/** A size in few letters for an axis: 1.5k, 20M. */
function short(value) {
  for (const [letter, unit] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (value >= unit) return `${digits(value / unit, 6)}${letter}`;
  }
  return digits(value, 6);
}

/** A share is told in percent. */
function isShare(metric) {
  return metric.unit === "%";
}

/** What a value is multiplied by where it is told. */
function factor(metric) {
  return isShare(metric) ? 100 : 1;
}

/** A score without its unit: two digits after the point of a share, else three. */
function bare(metric, value) {
  return (factor(metric) * value).toFixed(isShare(metric) ? 2 : 3);
}

/** A score for a person: 97.31%, or 0.312 nats. */
function told(metric, value) {
  if (value === null || value === undefined) return "";
  const unit = isShare(metric) ? "%" : metric.unit ? ` ${metric.unit}` : "";
  return bare(metric, value) + unit;
}

/** A mean with half its interval: 97.31 ± 0.52. */
function toldPair(metric, pair, signed = false) {
  if (!pair) return "";
  const mean = `${signed && pair[0] > 0 ? "+" : ""}${bare(metric, pair[0])}`;
  return pair[1] === null ? mean : `${mean} ± ${bare(metric, pair[1])}`;
}

/** The same with the metric's unit: 97.31 ± 0.52 %. */
function toldWhole(metric, pair) {
  return pair ? `${toldPair(metric, pair)} ${metric.unit}`.trim() : "";
}

/** The title of a metric with its unit, for an axis or a column. */
function headed(metric, title = metric.title) {
  return metric.unit ? `${title} (${metric.unit})` : title;
}

/** The values of a method in one line. */
function toldValues(values) {
  return Object.entries(values).map(([name, value]) => `${name} ${digits(value)}`).join(", ");
}

/** A text that plotly shows as it is, not as markup. */
function literal(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
