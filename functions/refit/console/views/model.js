// One model: its name, its loop, and the tabs below.
import { pathOf } from "../lib/api.js";
import { metricTitle, metricValue } from "../lib/format.js";
import { useResource } from "../lib/resource.js";
import { html, useEffect, useRef } from "../lib/view.js";
import { isBusy, isRunning, STAGES } from "../lib/words.js";
import { Action } from "../parts/actions.js";
import { announce } from "../parts/announcer.js";
import { Badge, isShown, Loaded, Skeleton } from "../parts/basics.js";
import { isFreedByUnblocking } from "../parts/holds.js";
import { Loop } from "../parts/loop.js";
import { Inputs } from "./inputs.js";
import { Labels } from "./labels.js";
import { Overview } from "./overview.js";
import { Quality } from "./quality.js";
import { Run } from "./run.js";
import { Runs } from "./runs.js";
import { Try } from "./try.js";
import { Versions } from "./versions.js";

const TABS = [
  ["", "Overview", Overview],
  ["quality", "Quality", Quality],
  ["inputs", "Inputs", Inputs],
  ["labels", "Labels", Labels],
  ["versions", "Versions", Versions],
  ["runs", "Runs", Runs],
  ["try", "Try it", Try],
];

export function hasTab(tab) {
  return TABS.some(([name]) => name === tab);
}

// Null for the overview, whose title is that of the model.
export function titleOfTab(tab) {
  return tab === "" ? null : (TABS.find(([name]) => name === tab)?.[1] ?? null);
}

export function Model({ model, tab, run }) {
  const resource = useResource(
    pathOf("models", model),
    ({ stage, lastRun }) => isBusy(stage) || isRunning(lastRun),
  );
  useStageAnnouncements(model, resource.data);
  return html`<main id="main" tabindex="-1">
    ${!isShown(resource) && html`<h1>${model}</h1>`}
    <${Loaded}
      resource=${resource}
      skeleton=${html`<${Skeleton} lines=${1} height=${180} /><${Skeleton} lines=${3} height=${96} />`}
    >
      ${(answer) => html`<${Shown} answer=${answer} tab=${tab} run=${run} />`}
    <//>
  </main>`;
}

function Shown({ answer, tab, run }) {
  const { model, stage, text, champion, activeRun: active, lastRun, holds } = answer;
  const View = run ? Run : TABS.find(([name]) => name === tab)[2];
  const failed = lastRun?.status === "FAILED" && !active;
  const root = `#/models/${encodeURIComponent(model)}`;
  return html`<div class="title">
      <div>
        <h1>${model}</h1>
        <p class="title-text"><${Badge} of=${stage} texts=${STAGES} /> ${text}</p>
      </div>
      <div class="row actions">
        ${isFreedByUnblocking(holds) && html`<${Action} name="unblock" subject=${{ model }} isPrimary />`}
        ${failed && html`<${Action} name="retry" subject=${{ model, run: lastRun.run }} />`}
        ${champion && html`<${Action} name="retrain" subject=${{ model }} />`}
      </div>
    </div>
    <div class=${`card loop-card ${tab === "" ? "" : "of-tab"}`}>
      <${Loop} stage=${stage} text=${text} notes=${notesOf(answer)} />
    </div>
    <nav class="tabs" aria-label=${`Views of ${model}`}>
      <ul>
        ${TABS.map(([name, title]) => {
          const isHere = run ? name === "runs" : name === tab;
          return html`<li key=${name}>
            <a href=${name ? `${root}/${name}` : root} aria-current=${isHere ? "page" : undefined}>
              ${title}
            </a>
          </li>`;
        })}
      </ul>
    </nav>
    <${View} key=${`${model} ${tab} ${run}`} answer=${answer} model=${model} run=${run} />`;
}

function notesOf({ champion, loop, lastRun }) {
  const notes = {};
  if (champion) notes.serve = `version ${champion.version}`;
  const live = Object.entries(loop?.quality?.metrics ?? {})[0];
  if (live) notes.watch = `${metricTitle(live[0])} ${metricValue(...live)}`;
  if (loop?.evidence?.drifted) notes.drift = "detected";
  if (loop?.retraining.failures) notes.retrain = `${loop.retraining.failures} without success`;
  if (lastRun?.status === "REFUSED") notes.gate = "refused the last run";
  if (lastRun?.status === "AWAITING_APPROVAL") notes.gate = "awaits approval";
  return notes;
}

function useStageAnnouncements(model, answer) {
  const before = useRef(null);
  const stage = answer?.stage;
  useEffect(() => {
    if (!stage) return;
    if (before.current !== null && before.current !== stage) {
      announce(`${model}: ${STAGES[stage]?.[0] ?? stage}. ${answer.text}`);
    }
    before.current = stage;
  }, [model, stage]);
}
