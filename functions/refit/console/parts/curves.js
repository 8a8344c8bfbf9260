// The learning curves of a training, live while it runs.
import { metricTitle, number } from "../lib/format.js";
import { html, useState } from "../lib/view.js";
import { Card } from "./basics.js";
import { Chart } from "./chart.js";

const COLORS = ["accent", "second", "third", "fourth"];

// "validation-mlogloss" is the metric mlogloss on the validation rows.
function sidesOf(name) {
  const [, side, metric] = name.match(/^(train|validation)[-:](.+)$/) ?? [null, "", name];
  return [side, metric];
}

function byMetric(curves) {
  const groups = new Map();
  for (const curve of curves) {
    const [side, metric] = sidesOf(curve.metric);
    groups.set(metric, [...(groups.get(metric) ?? []), { side, curve }]);
  }
  return [...groups];
}

export function Curves({ curves, training, isRunning }) {
  const jobs = [...new Map(curves.map((curve) => [curve.job, curve.title]))];
  const [chosen, setChosen] = useState(null);
  const job = jobs.some(([name]) => name === chosen) ? chosen : jobs.at(-1)[0];
  const shown = curves.filter((curve) => curve.job === job);
  const title = jobs.find(([name]) => name === job)[1];
  const progress = training.find((entry) => entry.title === title);
  return html`<${Card}
    title=${isRunning ? "Training now" : "Learning curves"}
    id="curves"
    aside=${jobs.length > 1 &&
    html`<label class="row">
      <span class="muted">Job</span>
      <select value=${job} onChange=${(event) => setChosen(event.target.value)}>
        ${jobs.map(([name, text]) => html`<option key=${name} value=${name}>${text}</option>`)}
      </select>
    </label>`}
  >
    ${progress && html`<p aria-live="off">${progressText(progress)}</p>`}
    ${byMetric(shown).map(
      ([metric, group]) => html`<div key=${`${job} ${metric}`}>
        <h3>${metricTitle(metric)}</h3>
        <${Lines} metric=${metric} group=${group} />
      </div>`,
    )}
  <//>`;
}

function progressText({ rounds, metric, value, best }) {
  const text = `After ${rounds} rounds: ${metric} ${number(value)}`;
  return best === null ? `${text}.` : `${text}; best ${number(best.value)} in round ${best.round + 1}.`;
}

function Lines({ metric, group }) {
  const rounds = [...new Set(group.flatMap(({ curve }) => curve.points.map((point) => point.round)))];
  rounds.sort((a, b) => a - b);
  const series = group.map(({ side, curve }, index) => {
    const values = new Map(curve.points.map((point) => [point.round, point.value]));
    return {
      title: side || metric,
      color: COLORS[index % COLORS.length],
      values: rounds.map((round) => values.get(round) ?? null),
    };
  });
  return html`<${Chart}
    title=${metric}
    x=${rounds}
    series=${series}
    isTime=${false}
    format=${(value) => number(value, 3)}
    xFormat=${(round) => `round ${round}`}
  />`;
}
