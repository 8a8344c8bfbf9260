// The live distribution of a column beside that of the training data.
import { count, number, percent } from "../lib/format.js";
import { html } from "../lib/view.js";
import { Scroll } from "./basics.js";

const WIDTH = 320;
const HEIGHT = 96;

function shares(counts) {
  const total = counts.reduce((sum, value) => sum + value, 0) || 1;
  return counts.map((value) => value / total);
}

function binsOf({ edges, texts }) {
  if (texts !== null) return [...texts, "all others"];
  if (edges.length === 0) return ["all values"];
  const between = edges
    .slice(1)
    .map((edge, index) => `${number(edges[index], 3)} to ${number(edge, 3)}`);
  return [`up to ${number(edges[0], 3)}`, ...between, `above ${number(edges.at(-1), 3)}`];
}

export function Histogram({ column }) {
  const live = shares(column.live);
  const reference = shares(column.reference);
  const bins = binsOf(column);
  const top = Math.max(...live, ...reference) || 1;
  const slot = WIDTH / bins.length;
  const bar = (value, index, kind) => {
    const height = (value / top) * HEIGHT;
    const width = Math.max(1, slot * 0.4);
    const x = index * slot + slot * 0.1 + (kind === "live" ? width : 0);
    return html`<rect class=${`bar ${kind}`} x=${x} y=${HEIGHT - height} width=${width} height=${height} />`;
  };
  const label = `Distribution of ${column.name}: live values beside those of the training data`;
  return html`<figure class="histogram">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
      ${reference.map((value, index) => bar(value, index, "reference"))}
      ${live.map((value, index) => bar(value, index, "live"))}
    </svg>
    <div class="histogram-scale muted">
      <span>${bins[0]}</span><span>${bins.length > 1 && bins.at(-1)}</span>
    </div>
    <details>
      <summary>The same as a table</summary>
      <${Scroll} label=${`${label}, as a table`}>
        <table>
          <thead>
            <tr>
              <th scope="col">${column.texts === null ? "values" : "text"}</th>
              <th scope="col" class="num">live</th>
              <th scope="col" class="num">training</th>
            </tr>
          </thead>
          <tbody>
            ${bins.map(
              (bin, index) => html`<tr key=${index}>
                <th scope="row">${bin}</th>
                <td class="num">${percent(live[index])}</td>
                <td class="num">${percent(reference[index])}</td>
              </tr>`,
            )}
          </tbody>
        </table>
      <//>
      <p class="muted">
        ${count(column.live.reduce((sum, value) => sum + value, 0), "live value")}
      </p>
    </details>
  </figure>`;
}
