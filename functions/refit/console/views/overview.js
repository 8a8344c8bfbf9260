// The state of a model: live version, quality, retraining, alarms and settings.
import { pathOf } from "../lib/api.js";
import { count, duration, metricTitle, metricValue, percent } from "../lib/format.js";
import { usePages } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { ALARMS, RETRAINING, RUNS } from "../lib/words.js";
import {
  Ago,
  Badge,
  Card,
  Empty,
  Facts,
  Loaded,
  Scroll,
  Skeleton,
  Text,
  Until,
} from "../parts/basics.js";
import { Holds } from "../parts/holds.js";
import { Sparkline } from "../parts/sparkline.js";

const NEWEST = 5; // retrainings

export function Overview({ answer, model }) {
  const { champion, loop, trend, alarms, settings, holds } = answer;
  return html`<${Holds} of=${holds} />
    <div class="grid">
      <${Live} champion=${champion} loop=${loop} trend=${trend} />
      <${Retraining} loop=${loop} />
    </div>
    <${Alarms} alarms=${alarms} champion=${champion} loop=${loop} />
    <${Causes} model=${model} />
    ${settings && html`<${Settings} settings=${settings} />`}`;
}

function Live({ champion, loop, trend }) {
  if (!champion) {
    return html`<${Card} title="Live version" id="live">
      <${Empty} title="No version is live">
        <p>The first version that passes the gate is deployed.</p>
      <//>
    <//>`;
  }
  const quality = loop?.quality;
  const [metric, value] = Object.entries(quality?.metrics ?? {})[0] ?? [null, null];
  const heldOut = metric === null ? null : quality.baseline[metric];
  return html`<${Card}
    title=${`Version ${champion.version} is live`}
    id="live"
    aside=${html`<span class="muted">since <${Ago} at=${champion.promotedAt} /></span>`}
  >
    <div class="hero">
      <div class="figure">
        <span class="big">${metric === null ? "–" : metricValue(metric, value)}</span>
        <span class="muted">
          ${metric === null ? "no labels yet" : `${metricTitle(metric)} on labelled predictions`}
        </span>
      </div>
      <${Sparkline} trend=${trend} metric=${metric ?? "accuracy"} heldOut=${heldOut} />
    </div>
    <${Facts}
      of=${[
        metric !== null && ["On held-out rows", metricValue(metric, heldOut)],
        quality && ["Predictions", quality.predictions.toLocaleString("en")],
        quality && ["Labelled", percent(quality.coverage, 0)],
        quality?.labelDelaySeconds != null && ["Label delay", duration(quality.labelDelaySeconds)],
        ["Endpoint", champion.endpointStatus ?? "–"],
      ].filter(Boolean)}
    />
  <//>`;
}

function Retraining({ loop }) {
  if (!loop) {
    return html`<${Card} title="Retraining" id="retraining">
      <${Empty} title="Nothing to retrain"><p>It begins with the first live version.</p><//>
    <//>`;
  }
  const { state, since, reason, pending, failures, cooledUntil, last, note } = loop.retraining;
  return html`<${Card}
    title="Retraining"
    id="retraining"
    aside=${html`<${Badge} of=${state} texts=${RETRAINING} />`}
  >
    ${loop.evidence && html`<p>${loop.evidence.sentence}</p>`}
    ${state !== "healthy" && !loop.evidence?.drifted && reason && html`<p><${Text} of=${reason} /></p>`}
    ${pending && html`<p>A retraining is due: <${Text} of=${pending.why} /></p>`}
    ${note && html`<p><${Text} of=${note} /></p>`}
    <${Facts}
      of=${[
        since && ["In this state since", html`<${Ago} at=${since} />`],
        loop.lookedAt && ["Last check", html`<${Ago} at=${loop.lookedAt} />`],
        failures > 0 && ["Without improvement", count(failures, "retraining")],
        state === "cooling" && cooledUntil && ["Cooling ends", html`<${Until} at=${cooledUntil} past="at the next check" />`],
        last && ["Last retraining", RUNS[last.status]?.[0] ?? last.status, last.message],
      ].filter(Boolean)}
    />
  <//>`;
}

// Whether an alarm of drift is about a version that is not live any more. CloudWatch keeps it in its
// state for a while, and its text speaks of the live version.
function isOutdated({ kind, since }, champion, loop) {
  const drifts = {
    "quality-drift": loop?.evidence?.drifted,
    "input-drift": loop?.inputs?.flagged > 0,
  };
  if (!champion || since === null || !(kind in drifts) || drifts[kind]) return false;
  return new Date(since) < new Date(champion.promotedAt);
}

function Alarms({ alarms, champion, loop }) {
  const raised = alarms.filter((alarm) => alarm.state === "ALARM");
  const others = alarms.filter((alarm) => alarm.state !== "ALARM");
  const state = raised.length > 0 ? `${raised.length} raised` : "none raised";
  return html`<${Card} title="Alarms" id="alarms" aside=${html`<span class="muted">${state}</span>`}>
    ${alarms.length === 0 &&
    html`<p class="muted">The alarms of a model are made with its first deployment.</p>`}
    ${raised.length > 0 &&
    html`<ul class="rows">
      ${raised.map(
        (alarm) => html`<${Raised} key=${alarm.name} of=${alarm} outdatedBy=${isOutdated(alarm, champion, loop) ? champion.version : null} />`,
      )}
    </ul>`}
    <ul class="chips">
      ${others.map(
        (alarm) => html`<li key=${alarm.name}>
          <${Badge} of=${alarm.state} texts=${ALARMS} /> ${nameOf(alarm)}
        </li>`,
      )}
    </ul>
  <//>`;
}

// outdatedBy: the version that went live after the alarm; null for an alarm about the live one.
function Raised({ of: alarm, outdatedBy }) {
  const isOutdated = outdatedBy !== null;
  return html`<li class="row-alarm">
    <${Badge} of=${isOutdated ? "OUTDATED" : alarm.state} texts=${ALARMS} />
    <div>
      <b>${nameOf(alarm)}</b>
      <p>
        ${isOutdated
          ? `Raised before version ${outdatedBy} went live, so it is about an earlier version. A later check of version ${outdatedBy} ends it.`
          : html`<${Text} of=${alarm.description} />`}
      </p>
      ${alarm.reason &&
      html`<details>
        <summary>What CloudWatch says</summary>
        <p class="muted">${alarm.reason}</p>
      </details>`}
    </div>
    ${alarm.since && html`<span class="muted"><${Ago} at=${alarm.since} /></span>`}
  </li>`;
}

function nameOf({ kind }) {
  return kind[0].toUpperCase() + kind.slice(1).replaceAll("-", " ");
}

function Causes({ model }) {
  const pages = usePages(pathOf("models", model, "runs"), (page) => page.runs, (run) => run.run);
  const retrainings = pages.items.filter((run) => run.cause !== "drop");
  return html`<${Card} title="Why it was retrained" id="causes">
    <${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${2} />`}>
      ${() =>
        retrainings.length === 0
          ? html`<p class="muted">It was not retrained yet. New files are listed under Runs.</p>`
          : html`<ul class="rows">
              ${retrainings
                .slice(0, NEWEST)
                .map((run) => html`<${Cause} key=${run.run} run=${run} model=${model} />`)}
            </ul>`}
    <//>
  <//>`;
}

function Cause({ run, model }) {
  return html`<li class="row-cause">
    <div>
      <p><${Text} of=${run.causeText} /></p>
      <p class="muted">
        <a href=${`#/models/${encodeURIComponent(model)}/runs/${run.run}`}>Run ${run.run}</a>${run.message && html`: <${Text} of=${run.message} />`}
      </p>
    </div>
    <span class="muted"><${Ago} at=${run.startedAt} /></span>
    <${Badge} of=${run.status} texts=${RUNS} />
  </li>`;
}

function Settings({ settings }) {
  const sections = Object.entries(settings.values).filter(
    ([, values]) => values !== null && typeof values === "object",
  );
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return html`<details class="card settings">
    <summary><h2>Settings in force</h2></summary>
    <p class="muted">From model.toml, as run ${settings.run} recorded it, with all defaults.</p>
    <${Scroll} label="Settings in force">
      <table>
        <thead>
          <tr><th scope="col">setting</th><th scope="col">value</th></tr>
        </thead>
        <tbody>
          ${sections.flatMap(([section, values]) =>
            Object.entries(values).map(
              ([key, value]) => html`<tr key=${`${section}.${key}`}>
                <th scope="row"><code>[${section}] ${key}</code></th>
                <td><code>${text(value)}</code></td>
              </tr>`,
            ),
          )}
        </tbody>
      </table>
    <//>
  </details>`;
}
