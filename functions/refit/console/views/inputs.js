// Drift of the inputs: columns ranked by how far they are from the training data.
import { count, dateTime, number, percent, season } from "../lib/format.js";
import { html, useState } from "../lib/view.js";
import { Card, Empty, Loaded, Skeleton } from "../parts/basics.js";
import { Histogram } from "../parts/histogram.js";
import { useQuality } from "./quality.js";

const FIRST = 9;
const ROLES = { feature: "input", prediction: "prediction", score: "probability" };

export function Inputs({ model }) {
  const pages = useQuality(model);
  return html`<${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${3} height=${160} />`}>
    ${({ inputs, columns }) =>
      inputs === null
        ? html`<${Empty} title="No inputs were compared yet">
            <p>
              Inputs are compared with the training data when the first cohort of predictions is
              complete. Labels are not needed.
            </p>
          <//>`
        : html`<${Summary} inputs=${inputs} />
            <${Columns} columns=${columns} isCompared=${!inputs.comparedFrom} />`}
  <//>`;
}

function Summary({ inputs }) {
  const { flagged, shifts, estimatedAccuracy } = inputs;
  return html`<${Card} title="Inputs compared with the training data" id="inputs">
    <p>
      ${spanOf(inputs)}:
      ${flagged === 0 ? " no check failed." : html` <b class="warn-text">${count(flagged, "check")} failed.</b>`}
      ${estimatedAccuracy !== null &&
      ` From the probabilities, an accuracy of ${percent(estimatedAccuracy)} is expected before labels arrive.`}
    </p>
    ${inputs.comparedFrom &&
    html`<p class="muted">
      Distributions are compared, and accuracy is estimated, over a whole ${season(inputs.seasonSeconds)}: from
      ${` ${dateTime(inputs.comparedFrom)}`} on. Until then only values that the training data never had are
      looked for, in the newest cohort.
    </p>`}
    ${inputs.missed > 0 &&
    !inputs.comparedFrom &&
    html`<p class="muted">
      Outages prevented about ${percent(inputs.missed)} of the predictions of this ${season(inputs.seasonSeconds)}. The
      thresholds are higher by it.
    </p>`}
    ${shifts.length > 0 && html`<details>
      <summary>The ${count(shifts.length, "check")} that failed most</summary>
      <ul class="rows">
        ${shifts.map(
          (shift) => html`<li key=${shift.feature_name + shift.description} class="row-shift">
            <b>${shift.feature_name}</b>
            <span>${shift.description}</span>
          </li>`,
        )}
      </ul>
    </details>`}
  <//>`;
}

function spanOf(inputs) {
  const { cohort, since, until, rows, seasonSeconds, comparedFrom } = inputs;
  if (!seasonSeconds) return `${count(rows, "row")} from ${dateTime(cohort)} on`;
  const span = `${count(rows, "row")} from ${dateTime(since)} to ${dateTime(until)}`;
  return comparedFrom ? `${span}, less than a ${season(inputs.seasonSeconds)}` : `${span}, a whole ${season(inputs.seasonSeconds)}`;
}

function shiftOf({ value, threshold, flagged }, isCompared) {
  const shift = `shift ${number(value, 2)}`;
  if (!isCompared) return `${shift} so far`;
  return `${shift}, ${flagged ? "above" : "below"} the threshold of ${number(threshold, 2)}`;
}

function Columns({ columns, isCompared }) {
  const [all, setAll] = useState(false);
  if (columns.length === 0) return null;
  return html`<section aria-labelledby="ranked">
    <div class="section-head">
      <h2 id="ranked">Columns, largest shift first</h2>
      <ul class="legend">
        <li><span class="key block reference"></span>training data</li>
        <li><span class="key block live"></span>live</li>
      </ul>
    </div>
    <ol class="columns">
      ${(all ? columns : columns.slice(0, FIRST)).map(
        (column) => html`<li key=${column.role + column.name} class="card">
          <header class="card-head">
            <h3>${column.name}</h3>
            <span class="muted">${ROLES[column.role]}</span>
          </header>
          <p class=${column.flagged || column.unseen > 0 ? "warn-text" : "muted"}>
            ${shiftOf(column, isCompared)}${column.unseen > 0 &&
            `, ${percent(column.unseen)} of the newest cohort never seen in training`}${column.missing > 0 &&
            `, ${percent(column.missing)} missing`}${column.critical && ", critical"}
          </p>
          <${Histogram} column=${column} />
        </li>`,
      )}
    </ol>
    ${columns.length > FIRST &&
    html`<p class="more">
      <button type="button" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>
        ${all ? "Show fewer columns" : `Show all ${columns.length} columns`}
      </button>
    </p>`}
  </section>`;
}
