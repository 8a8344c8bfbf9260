// What preparation learned of the columns of a drop.
import { count } from "../lib/format.js";
import { html, useState } from "../lib/view.js";
import { Card, Scroll } from "./basics.js";

const FIRST = 12;
const TYPES = { number: "number", category: "category", boolean: "truth value", date: "date", ignored: "left out" };

export function LearnedColumns({ of: learned }) {
  const [all, setAll] = useState(false);
  const columns = all ? learned.columns : learned.columns.slice(0, FIRST);
  const target = learned.classes === null ? "a number" : count(learned.classes.length, "class", "classes");
  return html`<${Card} title="What was learned of the data" id="learned">
    <p>
      It predicts <b>${learned.label}</b>${` (${target}) from ${count(learned.columns.length, "column")}. `}
      ${`${count(learned.rows, "row")}, ${learned.refused.toLocaleString("en")} refused. `}
      ${`The files have ${learned.header ? "column names" : "no column names"}.`}
    </p>
    ${learned.doubts.map((doubt) => html`<p key=${doubt} class="warn-text">To check: ${doubt}.</p>`)}
    ${Object.entries(learned.refused_reasons).map(
      ([why, rows]) => html`<p key=${why} class="warn-text">${count(rows, "row")} refused: ${why}.</p>`,
    )}
    ${learned.notes.map((note) => html`<p key=${note} class="muted">${note}</p>`)}
    <${Scroll} label="Columns of the data">
      <table>
        <thead>
          <tr>
            <th scope="col">column</th>
            <th scope="col">read as</th>
            <th scope="col" class="num">distinct</th>
            <th scope="col" class="num">missing</th>
            <th scope="col">example</th>
          </tr>
        </thead>
        <tbody>
          ${columns.map(
            (column) => html`<tr key=${column.name} class=${column.type === "ignored" ? "muted" : ""}>
              <th scope="row">${column.name}</th>
              <td>${TYPES[column.type]}${column.reason && html`<p class="note">${column.reason}</p>`}</td>
              <td class="num">${column.distinct?.toLocaleString("en") ?? "–"}</td>
              <td class="num">${column.missing.toLocaleString("en")}</td>
              <td><code>${column.example ?? "–"}</code></td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
    ${learned.columns.length > FIRST &&
    html`<p class="more">
      <button type="button" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>
        ${all ? "Show fewer columns" : `Show all ${learned.columns.length} columns`}
      </button>
    </p>`}
  <//>`;
}
