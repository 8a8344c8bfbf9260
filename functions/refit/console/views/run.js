// One run: what it does now, and what it found.
import { pathOf } from "../lib/api.js";
import { bytes, count, duration, number, sentence } from "../lib/format.js";
import { useNow, useResource } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { CHECKS, hasEnded, isRunning, RUNS } from "../lib/words.js";
import { Action } from "../parts/actions.js";
import { Ago, Badge, Card, Facts, Loaded, Scroll, Skeleton, Text } from "../parts/basics.js";
import { Curves } from "../parts/curves.js";
import { Evaluation } from "../parts/evaluation.js";
import { Examples } from "../parts/examples.js";
import { LearnedColumns } from "../parts/learned.js";

export function Run({ answer, model, run }) {
  const resource = useResource(pathOf("models", model, "runs", run), isRunning, hasEnded);
  const isNewest = answer.lastRun?.run === run;
  return html`<p><a href=${`#/models/${encodeURIComponent(model)}/runs`}>All runs</a></p>
    <${Loaded} resource=${resource} skeleton=${html`<${Skeleton} lines=${3} height=${160} />`}>
      ${(record) => html`<${Head} of=${record} isNewest=${isNewest} />
        <${States} of=${record} />
        ${record.curves.length > 0 &&
        html`<${Curves} curves=${record.curves} training=${record.training} isRunning=${isRunning(record)} />`}
        ${record.gate && html`<${Gate} gate=${record.gate} />`}
        ${record.evaluation && html`<${Evaluation} of=${record.evaluation} />`}
        ${record.examples && html`<${Examples} of=${record.examples} champion=${record.evaluation?.championVersion} />`}
        ${record.trials && html`<${Trials} trials=${record.trials} />`}
        ${record.learned && html`<${LearnedColumns} of=${record.learned} />`}
        ${record.data && html`<${Data} data=${record.data} />`}`}
    <//>`;
}

function Head({ of: run, isNewest }) {
  const now = useNow(1_000);
  const end = run.finishedAt ? new Date(run.finishedAt) : now;
  const canRepeat = isNewest && ["FAILED", "REFUSED"].includes(run.status);
  return html`<${Card}
    title=${`Run ${run.run}`}
    id="run"
    aside=${html`<${Badge} of=${run.status} texts=${RUNS} />`}
  >
    <p><${Text} of=${run.causeText} /></p>
    ${run.message &&
    html`<p class=${run.status === "FAILED" ? "bad-text" : ""}>${run.error && html`<b>${run.error}: </b>`}<${Text} of=${sentence(run.message)} /></p>`}
    <${Facts}
      of=${[
        ["Started", html`<${Ago} at=${run.startedAt} />`],
        [run.finishedAt ? "Took" : "Running for", duration((end - new Date(run.startedAt)) / 1000)],
        run.version !== null && ["Version", run.version],
        run.continued?.version && ["Continued from", `version ${run.continued.version}`],
        run.featuresFrom && ["Features from", `${run.featuresFrom.model}, version ${run.featuresFrom.version}`],
        run.script && ["Trained by", run.script.program],
        run.tuningProgress && ["Tuning", `trial ${run.tuningProgress.trial} of ${run.tuningProgress.of}`],
      ].filter(Boolean)}
    />
    ${canRepeat &&
    html`<div class="row end"><${Action} name="retry" subject=${{ model: run.model, run: run.run }} /></div>`}
  <//>`;
}

function States({ of: run }) {
  if (run.states.length === 0) return null;
  const shown = run.states.filter((visit) => visit.seconds >= 1 || visit.leftAt === null);
  const longest = Math.max(...run.states.map((visit) => visit.seconds), 1);
  const words = (state) => state.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return html`<${Card} title="Steps" id="steps">
    <ol class="steps">
      ${shown.map((visit, index) => {
        const isOpen = visit.leftAt === null;
        return html`<li key=${index} class=${isOpen ? "open" : ""}>
          <span class="step-name">${words(visit.state)}${isOpen && html` <span class="muted">now</span>`}</span>
          <span class="step-bar" aria-hidden="true">
            <span style=${{ width: `${Math.max(0.5, (visit.seconds / longest) * 100)}%` }}></span>
          </span>
          <span class="num muted">${duration(visit.seconds)}</span>
        </li>`;
      })}
    </ol>
    ${shown.length < run.states.length &&
    html`<p class="muted">${count(run.states.length - shown.length, "more step")} took less than a second each.</p>`}
  <//>`;
}

function Gate({ gate }) {
  const notes = gate.reasons.slice(gate.checks.filter((check) => check.passed === gate.passed).length);
  return html`<${Card}
    title="Gate"
    id="gate"
    aside=${html`<${Badge} of=${gate.passed} texts=${{ true: ["Passed", "good"], false: ["Refused", "warn"] }} />`}
  >
    <ul class="rows">
      ${gate.checks.map(
        (check) => html`<li key=${check.name} class="row-check">
          <${Badge} of=${check.passed} texts=${{ true: ["Passed", "good"], false: ["Failed", "bad"] }} />
          <div>
            <b>${CHECKS[check.name] ?? check.name}</b>
            <p>${check.reason}</p>
          </div>
        </li>`,
      )}
    </ul>
    ${notes.map((note) => html`<p key=${note} class="muted">${note}</p>`)}
  <//>`;
}

function Trials({ trials }) {
  const names = [...new Set(trials.trials.flatMap((trial) => Object.keys(trial.hyperparameters)))];
  return html`<${Card} title="Tuning trials, best first" id="trials">
    <${Scroll} label="Tuning trials">
      <table>
        <thead>
          <tr>
            <th scope="col">trial</th>
            <th scope="col" class="num">${trials.metric}</th>
            ${names.map((name) => html`<th key=${name} scope="col" class="num">${name}</th>`)}
            <th scope="col" class="num">time</th>
          </tr>
        </thead>
        <tbody>
          ${trials.trials.map(
            (trial) => html`<tr key=${trial.name}>
              <th scope="row">${trial.name}<p class="muted">${trial.reason ?? trial.status}</p></th>
              <td class="num">${number(trial.objective)}</td>
              ${names.map(
                (name) => html`<td key=${name} class="num">${trial.hyperparameters[name] ?? "–"}</td>`,
              )}
              <td class="num">${duration(trial.seconds)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
    ${trials.total > trials.trials.length &&
    html`<p class="muted">The best ${trials.trials.length} of ${trials.total} trials.</p>`}
  <//>`;
}

function Data({ data }) {
  const { files, filesTotal, rows, labelled, lost } = data;
  const unused = Object.entries(lost);
  return html`<${Card} title="The data of this run" id="data">
    <${Facts}
      of=${[
        rows && ["Training rows", rows.train.toLocaleString("en")],
        rows && ["Validation rows", rows.validation.toLocaleString("en")],
        rows && ["Held-out rows", rows.test.toLocaleString("en")],
        rows && ["In quarantine", rows.quarantined.toLocaleString("en")],
        labelled > 0 && ["Labelled predictions", labelled.toLocaleString("en")],
      ].filter(Boolean)}
    />
    ${unused.map(([why, number]) => html`<p key=${why} class="muted">${count(number, "labelled row")} not used: ${why}.</p>`)}
    ${files.length > 0 &&
    html`<${Scroll} label="Files of this run">
      <table>
        <thead>
          <tr><th scope="col">file</th><th scope="col" class="num">size</th></tr>
        </thead>
        <tbody>
          ${files.map(
            (file) => html`<tr key=${file.key + file.version}>
              <th scope="row"><code>${file.key}</code></th>
              <td class="num">${bytes(file.size)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>`}
    ${filesTotal > files.length && html`<p class="muted">${files.length} of ${filesTotal} files.</p>`}
  <//>`;
}
