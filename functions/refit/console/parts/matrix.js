// The confusion matrix: rows are the true classes, columns the predicted ones.
import { count, percent } from "../lib/format.js";
import { html } from "../lib/view.js";
import { Scroll } from "./basics.js";

export function Matrix({ classes, matrix }) {
  return html`<${Scroll} label="Confusion matrix">
    <table class="matrix">
      <caption>
        Rows: the true class. Columns: the predicted class. A darker cell is a larger share of its
        row.
      </caption>
      <thead>
        <tr>
          <th scope="col">true \\ predicted</th>
          ${classes.map((name) => html`<th key=${name} scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${matrix.map((row, actual) => {
          const total = row.reduce((sum, value) => sum + value, 0) || 1;
          return html`<tr key=${classes[actual]}>
            <th scope="row">${classes[actual]}</th>
            ${row.map((value, predicted) => {
              const share = value / total;
              const kind = value === 0 ? "zero" : actual === predicted ? "right" : "wrong";
              const title = `${count(value, "row")} of ${classes[actual]} predicted as ${classes[predicted]}, ${percent(share)}`;
              return html`<td
                key=${predicted}
                class=${kind}
                title=${title}
                style=${{ "--share": share.toFixed(3) }}
              >
                ${value}
              </td>`;
            })}
          </tr>`;
        })}
      </tbody>
    </table>
  <//>`;
}
