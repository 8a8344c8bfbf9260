// Numbers, times and durations as text.
// As in refit/domain/quality_metrics.py.
const SHARES = new Set([
  "accuracy",
  "balanced_accuracy",
  "precision",
  "recall",
  "macro_precision",
  "macro_recall",
  "weighted_precision",
  "weighted_recall",
  "mape",
]);
const TITLES = {
  brier: "Brier score",
  f1: "F1",
  mae: "MAE",
  macro_f1: "macro F1",
  mape: "MAPE",
  r2: "R²",
  rmse: "RMSE",
  roc_auc: "ROC AUC",
  weighted_f1: "weighted F1",
};
const NONE = "–";

export function percent(value, digits = 1) {
  return value === null || value === undefined ? NONE : `${(value * 100).toFixed(digits)} %`;
}

// A message of the API as a sentence of the page.
export function sentence(text) {
  const begun = text[0].toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

export function number(value, digits = 4) {
  if (value === null || value === undefined) return NONE;
  if (typeof value === "string") return value;
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size < 1e-12) return "0"; // the edge of a bin can be the smallest number below 0
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  return Number(value.toPrecision(digits)).toString();
}

export function count(value, singular, plural = `${singular}s`) {
  return `${(value ?? 0).toLocaleString("en")} ${value === 1 ? singular : plural}`;
}

function isShare(metric) {
  return SHARES.has(metric);
}

export function metricValue(metric, value) {
  return isShare(metric) && typeof value === "number" ? percent(value) : number(value);
}

export function metricTitle(metric) {
  return TITLES[metric] ?? metric.replaceAll("_", " ");
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  if (seconds < 1) return "under 1 s";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) {
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  }
  return `${Math.round(seconds / 8640) / 10} days`;
}

export function ago(moment, now) {
  const seconds = Math.max(0, (now - new Date(moment)) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86_400) return `${count(Math.floor(seconds / 86_400), "day")} ago`;
  return dateOf(moment);
}

export function until(moment, now) {
  const seconds = (new Date(moment) - now) / 1000;
  return seconds < 1 ? "now" : `in ${duration(seconds)}`;
}

function dateOf(moment) {
  return new Date(moment).toLocaleDateString("en-GB", { dateStyle: "medium" });
}

export function timeOf(moment) {
  return new Date(moment).toLocaleTimeString("en-GB");
}

export function dateTime(moment) {
  return `${dateOf(moment)}, ${timeOf(moment)}`;
}

export function bytes(size) {
  if (size < 1000) return `${size} B`;
  if (size < 1e6) return `${(size / 1e3).toFixed(1)} kB`;
  if (size < 1e9) return `${(size / 1e6).toFixed(1)} MB`;
  return `${(size / 1e9).toFixed(1)} GB`;
}

// Evidence is stored as log10. People read "a million to one" more easily than "6.0".
export function evidence(log10) {
  if (log10 === null || log10 === undefined) return NONE;
  if (log10 < 3) return number(10 ** log10, 2);
  if (log10 < 6) return Math.round(10 ** log10).toLocaleString("en");
  return `10^${Math.round(log10 * 10) / 10}`;
}

// Over which time a part of the evidence is judged.
export function span({ seasonSeconds, withinSeconds }) {
  if (!seasonSeconds) return `single times of a ${season(withinSeconds)}`;
  return withinSeconds
    ? `single ${season(seasonSeconds)}s of a ${season(withinSeconds)}`
    : `whole ${season(seasonSeconds)}s`;
}

export function season(seconds) {
  return { 86400: "day", 604800: "week" }[seconds] ?? `season of ${seconds} s`;
}

export function headline(metrics) {
  const others = /rows$|^threshold$|^(champion_|base_|fresh_)/;
  return Object.entries(metrics ?? {}).filter(
    ([name, value]) => typeof value === "number" && !others.test(name),
  );
}
