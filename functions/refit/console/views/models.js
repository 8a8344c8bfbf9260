// All models: what each one does now, and how good it is.
import { count, metricTitle, metricValue, percent } from "../lib/format.js";
import { usePages } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { CAUSES, isBusy, isRunning, RUNS, STAGES } from "../lib/words.js";
import { Ago, Badge, Empty, Loaded, More, Skeleton } from "../parts/basics.js";
import { Sparkline } from "../parts/sparkline.js";

export function Models() {
  const pages = usePages(
    "models",
    (page) => page.models,
    (model) => model.model,
    (page) => page.models.some((model) => isBusy(model.stage) || isRunning(model.lastRun)),
  );
  return html`<main id="main" tabindex="-1">
    <div class="title"><h1>Models</h1></div>
    <${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${3} height=${104} />`}>
      ${() =>
        pages.items.length === 0
          ? html`<${NoModel} />`
          : html`<ul class="models">
                ${pages.items.map((model) => html`<${Model} key=${model.model} of=${model} />`)}
              </ul>
              <${More} pages=${pages} />`}
    <//>
  </main>`;
}

function NoModel() {
  return html`<${Empty} title="There is no model yet">
    <p>Upload a table with a column to predict. Refit trains, tests and deploys a model of it:</p>
    <pre><code>refit put MODEL FILE.csv --label COLUMN</code></pre>
  <//>`;
}

function Model({ of: { model, stage, text, champion, lastRun, quality, trend } }) {
  return html`<li class="card model">
    <div class="model-name">
      <h2><a href=${`#/models/${encodeURIComponent(model)}`}>${model}</a></h2>
      <${Badge} of=${stage} texts=${STAGES} />
    </div>
    <p class="model-text">${text}</p>
    <div class="model-figures">
      <${Quality} quality=${quality} />
      <${Sparkline} trend=${trend} metric=${quality?.metric} heldOut=${quality?.heldOut} />
    </div>
    <p class="model-foot muted">
      ${champion ? `Version ${champion.version} is live` : "No version is live"}
      ${lastRun &&
      html`<span> · last run: ${RUNS[lastRun.status][0].toLowerCase()},
        from ${CAUSES[lastRun.cause]}, <${Ago} at=${lastRun.startedAt} /></span>`}
    </p>
  </li>`;
}

function Quality({ quality }) {
  if (!quality) return html`<div class="figure"><span class="big muted">–</span></div>`;
  const { metric, value, heldOut, predictions, labelled, drifted, shiftedInputs } = quality;
  const coverage = predictions ? percent(labelled / predictions, 0) : "–";
  return html`<div class="figure">
    <span class="big">${metricValue(metric, value)}</span>
    <span class="muted">
      ${metricTitle(metric)}${heldOut !== null && `, held-out ${metricValue(metric, heldOut)}`}
    </span>
    <span class="muted">
      ${predictions === 0 ? "no predictions yet" : `${count(predictions, "prediction")}, ${coverage} labelled`}
    </span>
    ${drifted && html`<span class="bad-text">Quality has drifted</span>`}
    ${!drifted && shiftedInputs > 0 &&
    html`<span class="warn-text">${count(shiftedInputs, "input check")} failed</span>`}
  </div>`;
}
