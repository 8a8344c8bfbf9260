// Held-out rows: what each one really is, and what was predicted.
import { pathOf } from "../lib/api.js";
import { count, number, percent } from "../lib/format.js";
import { useResource } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { hasEnded, isRunning } from "../lib/words.js";
import { Card, Scroll } from "./basics.js";
import { Picture } from "./picture.js";

const SHOWN_COLUMNS = 8;

const shown = (value) => (typeof value === "number" ? number(value) : value);

// The held-out rows of the live version. An older run has none: then one row is made of the cells
// that are the examples of the columns. Null while it loads.
export function useExamples({ model, champion, form }) {
  const { data, error } = useResource(pathOf("models", model, "runs", champion.run), isRunning, hasEnded);
  if (data?.examples?.rows.length > 0) return data.examples;
  if (data === null && error === null) return null;
  const row = { values: form.columns.map((column) => column.example), truth: null, wrong: null };
  return { columns: form.columns.map((column) => column.name), rows: [row] };
}

export function Examples({ of: examples, champion }) {
  const { imageSide: side, rows } = examples;
  if (rows.length === 0) return null;
  const isRegression = rows[0].wrong === null;
  return html`<${Card} title="Some held-out rows" id="examples">
    <p class="muted">
      ${isRegression
        ? "The first ones have the largest errors."
        : orderOf(rows.filter((row) => row.wrong).length)}
    </p>
    ${side === null
      ? html`<${Table} of=${examples} champion=${champion} isRegression=${isRegression} />`
      : html`<${Pictures} of=${examples} champion=${champion} />`}
  <//>`;
}

function orderOf(wrong) {
  if (wrong === 0) return "Each of these was predicted correctly.";
  return `First ${count(wrong, "wrong prediction")}, the most certain one at the front.`;
}

function Pictures({ of: { imageSide: side, imageMax: largest, rows }, champion }) {
  return html`<ul class="pictures">
    ${rows.map(
      (row, index) => html`<li key=${index}>
        <${Picture} values=${row.values} side=${side} largest=${largest || 1} size=${84} label=${`A picture of ${row.truth}`} />
        <b>${shown(row.truth)}</b>
        <span class=${row.wrong ? "bad-text" : "muted"}>
          ${`predicted ${shown(row.predicted)}`}${row.probability !== null && `, ${percent(row.probability, 0)}`}
        </span>
        ${row.live !== null && html`<span class="muted">version ${champion}: ${shown(row.live)}</span>`}
      </li>`,
    )}
  </ul>`;
}

function Table({ of: { columns, rows }, champion, isRegression }) {
  const names = columns.slice(0, SHOWN_COLUMNS);
  const hasLive = rows.some((row) => row.live !== null);
  return html`<${Scroll} label="Held-out rows">
      <table>
        <thead>
          <tr>
            <th scope="col">label</th>
            <th scope="col">predicted</th>
            <th scope="col" class="num">${isRegression ? "error" : "probability"}</th>
            ${hasLive && html`<th scope="col">version ${champion}</th>`}
            ${names.map((name) => html`<th key=${name} scope="col">${name}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            (row, index) => html`<tr key=${index}>
              <th scope="row">${shown(row.truth)}</th>
              <td class=${row.wrong ? "bad-text" : ""}>${shown(row.predicted)}</td>
              <td class="num">${isRegression ? number(row.predicted - row.truth) : percent(row.probability)}</td>
              ${hasLive && html`<td>${shown(row.live)}</td>`}
              ${names.map((name, at) => html`<td key=${name}>${row.values[at] ?? "–"}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
    ${columns.length > names.length &&
    html`<p class="muted">The first ${names.length} of ${columns.length} columns.</p>`}`;
}

// Buttons that use a row. onUse gets the row.
export function ExampleButtons({ of: examples, side, largest, onUse }) {
  if (examples === null) return null;
  const isKnown = examples.rows[0].truth !== null;
  return html`<div class="examples">
    <h3 id="examples-title">${isKnown ? "Held-out rows with their labels" : "An example"}</h3>
    ${isKnown &&
    html`<p class="muted">
      The model was not trained on them. ${examples.rows[0].wrong === null ? "The arrow points to the prediction." : "An arrow points to a prediction that was wrong."}
    </p>`}
    <ul class="pictures" aria-labelledby="examples-title">
      ${examples.rows.map(
        (row, index) => html`<li key=${index}>
          <button type="button" onClick=${() => onUse(row)}>
            ${side !== null &&
            html`<${Picture} values=${row.values} side=${side} largest=${largest} size=${56} label="" />`}
            ${isKnown ? html`<${Known} row=${row} />` : html`<${Unknown} side=${side} />`}
          </button>
        </li>`,
      )}
    </ul>
  </div>`;
}

function Known({ row: { truth, predicted, wrong } }) {
  return html`<span>
    <span class="hidden">Use a held-out row whose label is${" "}</span>${shown(truth)}
    ${wrong !== false &&
    html`<span class=${wrong ? "bad-text" : "muted"}>
      <span aria-hidden="true"> → </span>
      <span class="hidden">${wrong ? " and that was taken for " : ", estimated as "}</span>${shown(predicted)}
    </span>`}
  </span>`;
}

function Unknown({ side }) {
  return side === null
    ? "Fill with an example"
    : html`<span class="hidden">Use the picture of the training data</span>`;
}
