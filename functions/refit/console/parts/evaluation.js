// How good the model of a run is on rows that it was not trained on.
import { count, metricTitle, metricValue, number, percent } from "../lib/format.js";
import { html } from "../lib/view.js";
import { Card, Scroll } from "./basics.js";
import { Matrix } from "./matrix.js";

const SETS = [
  ["new", "New held-out rows"],
  ["base", "Held-out rows of the champion"],
  ["fresh", "Labels since the champion"],
];

export function Evaluation({ of: evaluation }) {
  const { classes, folds, notes } = evaluation;
  const matrix = evaluation.new.challenger.confusion_matrix;
  const sets = SETS.filter(([name]) => evaluation[name] !== null);
  return html`<${Card} title="Evaluation" id="evaluation">
      ${sets.map(
        ([name, title]) => html`<${Metrics} key=${name} title=${title} rows=${evaluation[name]} of=${evaluation} />`,
      )}
      ${folds && html`<p>
        Over ${folds.each.length} folds:
        ${Object.entries(folds.mean)
          .map(([metric, mean]) => ` ${metricTitle(metric)} ${metricValue(metric, mean)} ± ${number(folds.spread[metric], 2)}`)
          .join(",")}.
      </p>`}
      ${notes.map((note) => html`<p key=${note} class="muted">${note}</p>`)}
    <//>
    ${classes && matrix && html`<${Card} title="Confusion matrix" id="matrix">
      <${Matrix} classes=${classes} matrix=${matrix} />
    <//>`}
    ${evaluation.new.challenger.per_class && html`<${PerClass} classes=${evaluation.new.challenger.per_class} />`}`;
}

function Metrics({ title, rows, of: evaluation }) {
  const { challenger, champion, baseline } = rows;
  return html`<div class="block">
    <h3>${title} <span class="muted">${count(rows.rows, "row")}</span></h3>
    <${Scroll} label=${title}>
      <table>
        <thead>
          <tr>
            <th scope="col">metric</th>
            <th scope="col" class="num">this run</th>
            <th scope="col" class="num">${percent(evaluation.confidence, 0)} interval</th>
            ${champion && html`<th scope="col" class="num">version ${evaluation.championVersion}</th>`}
            <th scope="col" class="num">no skill</th>
          </tr>
        </thead>
        <tbody>
          ${Object.entries(challenger.metrics).map(
            ([metric, estimate]) => html`<tr key=${metric} class=${metric === evaluation.metric ? "decides" : ""}>
              <th scope="row">
                ${metricTitle(metric)}${metric === evaluation.metric && html` <span class="note">decides</span>`}
              </th>
              <td class="num"><b>${metricValue(metric, estimate.value)}</b></td>
              <td class="num muted">
                ${estimate.low === null
                  ? "–"
                  : `${metricValue(metric, estimate.low)} to ${metricValue(metric, estimate.high)}`}
              </td>
              ${champion && html`<td class="num">${metricValue(metric, champion.metrics[metric]?.value ?? null)}</td>`}
              <td class="num muted">${metricValue(metric, baseline.metrics[metric] ?? null)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
  </div>`;
}

function PerClass({ classes }) {
  const share = (estimate) => percent(estimate?.value ?? null);
  return html`<${Card} title="By class" id="by-class">
    <${Scroll} label="Quality by class">
      <table>
        <thead>
          <tr>
            <th scope="col">class</th>
            <th scope="col" class="num">rows</th>
            <th scope="col" class="num">recall</th>
            <th scope="col" class="num">precision</th>
            <th scope="col" class="num">F1</th>
          </tr>
        </thead>
        <tbody>
          ${Object.entries(classes).map(
            ([name, quality]) => html`<tr key=${name}>
              <th scope="row">${name}</th>
              <td class="num">${quality.support.toLocaleString("en")}</td>
              <td class="num">${share(quality.recall)}</td>
              <td class="num">${share(quality.precision)}</td>
              <td class="num">${share(quality.f1)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
  <//>`;
}
