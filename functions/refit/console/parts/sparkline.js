// A small line without axes: the trend of a model in a list.
import { metricTitle, metricValue } from "../lib/format.js";
import { html } from "../lib/view.js";

const WIDTH = 120;
const HEIGHT = 32;
const EDGE = 3;

export function Sparkline({ trend, metric, heldOut }) {
  const points = trend.map((point) => point.value);
  const known = points.filter((value) => value !== null);
  if (known.length < 2) return html`<span class="spark-none muted">no trend yet</span>`;
  const levels = heldOut === null || heldOut === undefined ? known : [...known, heldOut];
  const low = Math.min(...levels);
  const span = Math.max(...levels) - low || 1;
  const x = (index) => EDGE + (index * (WIDTH - 2 * EDGE)) / (points.length - 1);
  const y = (value) => HEIGHT - EDGE - ((value - low) / span) * (HEIGHT - 2 * EDGE);
  const path = points
    .map((value, index) => (value === null ? null : `${x(index).toFixed(1)},${y(value).toFixed(1)}`))
    .filter((point) => point !== null)
    .join(" ");
  const last = points.findLastIndex((value) => value !== null);
  const title = `${metricTitle(metric)} from ${metricValue(metric, known[0])} to ${metricValue(metric, known.at(-1))}`;
  return html`<svg class="spark" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${title}>
    ${heldOut !== null &&
    heldOut !== undefined &&
    html`<line class="spark-level" x1=${EDGE} x2=${WIDTH - EDGE} y1=${y(heldOut)} y2=${y(heldOut)} />`}
    <polyline points=${path} />
    <circle cx=${x(last)} cy=${y(points[last])} r="2.5" />
  </svg>`;
}
