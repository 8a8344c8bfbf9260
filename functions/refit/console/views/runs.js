// All runs of a model, newest first.
import { pathOf } from "../lib/api.js";
import { duration, headline, metricTitle, metricValue } from "../lib/format.js";
import { useNow, usePages } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { isRunning, RUNS } from "../lib/words.js";
import { Ago, Badge, Empty, Loaded, More, Skeleton } from "../parts/basics.js";

export function Runs({ model }) {
  const pages = usePages(
    pathOf("models", model, "runs"),
    (page) => page.runs,
    (run) => run.run,
    (page) => page.runs.some(isRunning),
  );
  return html`<${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${4} height=${64} />`}>
    ${() =>
      pages.items.length === 0
        ? html`<${Empty} title="There is no run yet"><p>A run starts when files have been dropped.</p><//>`
        : html`<div class="card">
              <ul class="rows">
                ${pages.items.map((run) => html`<${Run} key=${run.run} of=${run} model=${model} />`)}
              </ul>
            </div>
            <${More} pages=${pages} />`}
  <//>`;
}

function Run({ of: run, model }) {
  const now = useNow(1_000);
  const end = run.finishedAt ? new Date(run.finishedAt) : now;
  const shown = headline(run.metrics).slice(0, 1);
  return html`<li class="row-run">
    <${Badge} of=${run.status} texts=${RUNS} />
    <div>
      <a href=${`#/models/${encodeURIComponent(model)}/runs/${run.run}`}>Run ${run.run}</a>
      <p class="muted">
        ${run.causeText}${run.version !== null && ` Version ${run.version}.`}
        ${run.error && html` <span class="bad-text">${run.error}</span>`}
      </p>
    </div>
    <span class="num">
      ${shown.map(([metric, value]) => `${metricTitle(metric)} ${metricValue(metric, value)}`)}
    </span>
    <span class="muted num"><${Ago} at=${run.startedAt} />, ${duration((end - new Date(run.startedAt)) / 1000)}</span>
  </li>`;
}
