// Line charts by uPlot, which draws on a canvas. Each chart also has its numbers as a table.
import UPlot from "../vendor/uplot.js";
import { html, useLayoutEffect, useRef, useState } from "../lib/view.js";
import { Scroll, useMedia } from "./basics.js";

const HEIGHT = 220;
const WHOLE = [1, 2, 5].flatMap((digit) => [0, 1, 2, 3, 4].map((power) => digit * 10 ** power)).sort((a, b) => a - b);

// The value of a colour variable in the present theme, which a canvas cannot look up by itself.
function color(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// Renders again when the theme changes, because a canvas does not follow style sheets.
function useTheme() {
  const dark = useMedia("(prefers-color-scheme: dark)");
  const [chosen, setChosen] = useState(document.documentElement.dataset.theme);
  useLayoutEffect(() => {
    const observer = new MutationObserver(() =>
      setChosen(document.documentElement.dataset.theme),
    );
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => observer.disconnect();
  }, []);
  return chosen ?? (dark ? "dark" : "light");
}

// Times of day, or dates where the chart is longer than two days. The seconds of short charts.
function timeLabels(plot, values) {
  const { min, max } = plot.scales.x;
  const time = { hour: "2-digit", minute: "2-digit", ...(max - min < 600 && { second: "2-digit" }) };
  const style = max - min > 172_800 ? { day: "numeric", month: "short" } : time;
  const form = new Intl.DateTimeFormat("en-GB", style);
  return values.map((value) => form.format(value * 1000));
}

function optionsOf({ series, isTime, format, range, steps }, width, show) {
  const axis = {
    stroke: color("muted"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: color("line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [null, 28, null, null], // room for half of the last label of the time axis
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: isTime, range: wideEnough }, y: { range } },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 32, ...(isTime ? { values: timeLabels } : { incrs: WHOLE }) },
      { ...axis, size: 62, values: (_, values) => values.map(format), ...(steps && { incrs: steps }) },
    ],
    series: [
      {},
      ...series.map((line) => ({
        label: line.title,
        stroke: color(line.color),
        width: line.dash ? 1.5 : 2,
        dash: line.dash,
        spanGaps: true,
        points: { show: !line.dash && line.values.length < 40, size: 5, fill: color(line.color) },
      })),
    ],
    hooks: { setCursor: [(plot) => show(plot.cursor.idx ?? null)] },
  };
}

function padded(plot, low, high) {
  if (low === null || high === null) return [0, 1];
  const space = (high - low || Math.abs(high) || 1) * 0.12;
  return [low - space, high + space];
}

// The range of a single point, which has no length, would be chosen by uPlot: years of time.
function wideEnough(plot, low, high) {
  if (low === null) return [0, 1];
  return low === high ? [low - 1, high + 1] : [low, high];
}

// end: where the interval of the last point ends. The dashed levels are drawn up to there, so that
// they are lines also where there is one point only.
export function Chart({ title, x, end = null, series, isTime = true, format, xFormat, range = padded, steps }) {
  const holder = useRef(null);
  const plot = useRef(null);
  const theme = useTheme();
  const [index, setIndex] = useState(null);
  const shape = `${theme} ${series.map((line) => line.title + line.color).join("|")}`;
  const hasEnd = end !== null && end > x.at(-1);
  const atEnd = (line) => (line.dash ? line.values.at(-1) : null);
  const data = hasEnd
    ? [[...x, end], ...series.map((line) => [...line.values, atEnd(line)])]
    : [x, ...series.map((line) => line.values)];
  // Layout effects: they run while the elements exist, also where a view is left at once.
  useLayoutEffect(() => {
    const node = holder.current;
    const width = () => Math.max(200, node.clientWidth);
    const settings = { series, isTime, format, range, steps };
    plot.current = new UPlot(optionsOf(settings, width(), setIndex), data, node);
    const observer = new ResizeObserver(() =>
      plot.current.setSize({ width: width(), height: HEIGHT }),
    );
    observer.observe(node);
    return () => {
      observer.disconnect();
      plot.current.destroy();
    };
  }, [shape]);
  const text = JSON.stringify(data);
  useLayoutEffect(() => plot.current.setData(data), [text]);
  const shown = index !== null && index < x.length ? index : x.length - 1;
  return html`<figure class="chart">
    <figcaption>
      <ul class="legend">
        ${series.map(
          (line) => html`<li key=${line.title}>
            <span
              class=${`key ${line.dash ? "dashed" : ""}`}
              style=${{ "--key": `var(--${line.color})` }}
            ></span>
            ${line.title} <b>${line.values[shown] === null ? "–" : format(line.values[shown])}</b>
          </li>`,
        )}
        <li class="muted">${x.length > 0 && xFormat(x[shown])}</li>
      </ul>
    </figcaption>
    <div class="plot" ref=${holder} aria-hidden="true"></div>
    <${ChartTable} ...${{ title, x, series, isTime, format, xFormat }} />
  </figure>`;
}

function ChartTable({ title, x, series, isTime, format, xFormat }) {
  const [isOpen, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>The same as a table</summary>
    ${isOpen &&
    html`<${Scroll} label=${`${title}, as a table`}>
      <table>
        <thead>
          <tr>
            <th scope="col">${isTime ? "time" : "round"}</th>
            ${series.map((line) => html`<th key=${line.title} scope="col">${line.title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${x.map(
            (value, row) => html`<tr key=${value}>
              <th scope="row">${xFormat(value)}</th>
              ${series.map(
                (line) => html`<td key=${line.title} class="num">
                  ${line.values[row] === null ? "–" : format(line.values[row])}
                </td>`,
              )}
            </tr>`,
          )}
        </tbody>
      </table>
    <//>`}
  </details>`;
}
