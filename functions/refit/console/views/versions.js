// The versions in the model registry, with what made them.
import { pathOf } from "../lib/api.js";
import { count, headline, metricTitle, metricValue } from "../lib/format.js";
import { usePages } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { APPROVALS, CAUSES } from "../lib/words.js";
import { Action } from "../parts/actions.js";
import { Ago, Badge, Empty, Loaded, More, Skeleton } from "../parts/basics.js";

export function Versions({ answer, model }) {
  const pages = usePages(
    pathOf("models", model, "versions"),
    (page) => page.versions,
    (version) => version.version,
  );
  const live = answer.champion?.version ?? null;
  return html`<${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${3} height=${110} />`}>
    ${() =>
      pages.items.length === 0
        ? html`<${Empty} title="There is no version yet">
            <p>A run registers a version when its model has passed the gate.</p>
          <//>`
        : html`<ul class="list">
              ${pages.items.map(
                (version) => html`<${Version}
                  key=${version.version}
                  of=${version}
                  model=${model}
                  live=${live}
                />`,
              )}
            </ul>
            <${More} pages=${pages} />`}
  <//>`;
}

function Version({ of: version, model, live }) {
  const { version: name, approval, live: isLive, createdAt, causeText, cause, metrics, run } = version;
  const subject = { model, version: name, isLive };
  return html`<li class=${`card version ${isLive ? "is-live" : ""}`}>
    <div class="version-head">
      <h2>Version ${name}</h2>
      ${isLive && html`<span class="badge accent">Live</span>`}
      <${Badge} of=${approval} texts=${APPROVALS} />
      <span class="muted"><${Ago} at=${createdAt} /></span>
    </div>
    <dl class="facts">
      ${headline(metrics)
        .slice(0, 4)
        .map(
          ([metric, value]) => html`<div key=${metric}>
            <dt>${metricTitle(metric)}</dt>
            <dd>${metricValue(metric, value)}</dd>
          </div>`,
        )}
    </dl>
    <p class="muted">
      ${causeText ?? (cause && `Made from ${CAUSES[cause]}.`)} ${dataText(version.data)}
      ${run && html` <a href=${`#/models/${encodeURIComponent(model)}/runs/${run}`}>Run ${run}</a>`}
    </p>
    <div class="row end">
      ${approval === "PendingManualApproval" && html`<${Action} name="approve" subject=${subject} isPrimary />`}
      ${approval === "Approved" &&
      !isLive &&
      live !== null &&
      name < live &&
      html`<${Action} name="rollback" subject=${subject} />`}
      ${approval !== "Rejected" && html`<${Action} name="reject" subject=${subject} />`}
    </div>
  </li>`;
}

function dataText(data) {
  if (!data) return "";
  const rows = data.rows && `${count(data.rows.train, "training row")}, ${data.rows.test.toLocaleString("en")} held out`;
  const labelled = data.labelled > 0 && `with ${count(data.labelled, "labelled prediction")}`;
  return [count(data.filesTotal, "file"), rows, labelled].filter(Boolean).join(", ") + ".";
}
