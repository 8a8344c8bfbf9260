// The loop that every model goes through, as a picture with the present stage lit.
import { html } from "../lib/view.js";
import { isBusy, STAGES } from "../lib/words.js";
import { useMedia } from "./basics.js";

// The stages in their order; the first six make a version, the last four watch it.
const STEPS = [
  ["data", "Data"],
  ["prepare", "Prepare"],
  ["train", "Train"],
  ["evaluate", "Evaluate"],
  ["gate", "Gate"],
  ["deploy", "Deploy"],
  ["serve", "Serve"],
  ["watch", "Watch"],
  ["drift", "Drift"],
  ["retrain", "Retrain"],
];
const STEP_OF = {
  waiting_for_data: "data",
  preparing: "prepare",
  training: "train",
  evaluating: "evaluate",
  gate: "gate",
  awaiting_approval: "gate",
  deploying: "deploy",
  serving: "serve",
  watching: "watch",
  drift: "drift",
  retraining: "retrain",
  blocked: "retrain",
  removing: "data",
};
const MAKING = 6;
const BOX = { width: 132, height: 50 };

function placesWide() {
  const gap = 34;
  const x = (column) => column * (BOX.width + gap);
  const places = STEPS.slice(0, MAKING).map((_, column) => [x(column), 0]);
  const step = (x(5) - x(1)) / 3;
  return [...places, ...[0, 1, 2, 3].map((back) => [x(5) - back * step, 92])];
}

function placesNarrow() {
  const y = (row) => row * (BOX.height + 17);
  const places = STEPS.slice(0, MAKING).map((_, row) => [0, y(row)]);
  const step = (y(5) - y(1)) / 3;
  return [...places, ...[0, 1, 2, 3].map((back) => [178, y(5) - back * step])];
}

const WIDE = { places: placesWide(), box: [962, 142] };
const NARROW = { places: placesNarrow(), box: [310, 386] };

// An arrow from the edge of one box to the edge of the next.
function arrow([x1, y1], [x2, y2]) {
  const { width, height } = BOX;
  const isAcross = Math.abs(x2 - x1) >= width;
  const from = isAcross
    ? [x2 > x1 ? x1 + width : x1, y1 + height / 2]
    : [x1 + width / 2, y2 > y1 ? y1 + height : y1];
  const to = isAcross
    ? [x2 > x1 ? x2 : x2 + width, y2 + height / 2]
    : [x2 + width / 2, y2 > y1 ? y2 : y2 + height];
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const inset = (point, other) => [
    point[0] + ((other[0] - point[0]) * 5) / length,
    point[1] + ((other[1] - point[1]) * 5) / length,
  ];
  const [a, b] = [inset(from, to), inset(to, from)];
  return `M${a[0]} ${a[1]}L${b[0]} ${b[1]}`;
}

// notes: a short text below the names of some steps, such as {serve: "version 3"}.
export function Loop({ stage, text, notes }) {
  const isNarrow = useMedia("(max-width: 760px)");
  const { places, box } = isNarrow ? NARROW : WIDE;
  const lit = STEP_OF[stage];
  const tone = STAGES[stage]?.[1] ?? "quiet";
  const links = STEPS.map((_, index) => [index, index + 1]).slice(0, -1);
  const label = `The loop of the model. Now: ${STAGES[stage]?.[0] ?? stage}. ${text}`;
  return html`<svg class="loop" viewBox=${`-4 -4 ${box[0] + 8} ${box[1] + 8}`} role="img" aria-label=${label}>
    <defs>
      <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
        <path class="head" d="M1 1L7 4L1 7" />
      </marker>
    </defs>
    ${links.map(
      ([from, to]) =>
        html`<path key=${from} class="link" marker-end="url(#head)" d=${arrow(places[from], places[to])} />`,
    )}
    <path class="link" marker-end="url(#head)" d=${arrow(places[9], places[1])} />
    ${STEPS.map(([name, title], index) => {
      const [x, y] = places[index];
      const kind = name === lit ? `lit ${tone} ${isBusy(stage) ? "moving" : ""}` : "";
      const note = notes[name];
      return html`<g key=${name} class=${`step ${kind}`} transform=${`translate(${x} ${y})`}>
        <rect width=${BOX.width} height=${BOX.height} rx="10" />
        <text x=${BOX.width / 2} y=${note ? 22 : 30}>${title}</text>
        ${note && html`<text class="step-note" x=${BOX.width / 2} y="39">${note}</text>`}
      </g>`;
    })}
  </svg>`;
}
