// Quality over time: the live metric, the held-out level, the tolerated rate, and the evidence.
import { pathOf } from "../lib/api.js";
import {
  dateTime,
  evidence as evidenceText,
  metricValue,
  number,
  percent,
  span,
} from "../lib/format.js";
import { usePages } from "../lib/resource.js";
import { html } from "../lib/view.js";
import { Ago, Card, Empty, Facts, Loaded, More, Scroll, Skeleton } from "../parts/basics.js";
import { Chart } from "../parts/chart.js";

const DASH = [6, 4];

export function useQuality(model) {
  return usePages(
    pathOf("models", model, "quality"),
    (page) => page.series,
    (cohort) => cohort.start,
  );
}

export function Quality({ model }) {
  const pages = useQuality(model);
  return html`<${Loaded} resource=${pages} skeleton=${html`<${Skeleton} lines=${2} height=${260} />`}>
    ${(answer) =>
      pages.items.length === 0 || answer.metric === null
        ? html`<${Empty} title="There is nothing to measure yet">
            <p>Quality is measured when predictions of the live version have got their labels.</p>
          <//>`
        : html`<${OverTime} answer=${answer} cohorts=${[...pages.items].reverse()} pages=${pages} />
            <${Evidence} answer=${answer} cohorts=${[...pages.items].reverse()} />`}
  <//>`;
}

function OverTime({ answer, cohorts, pages }) {
  const { metric, heldOut, evidence, version } = answer;
  const x = cohorts.map((cohort) => new Date(cohort.start) / 1000);
  const end = endOf(cohorts);
  const live = cohorts.map((cohort) => cohort.metrics[metric.name] ?? null);
  const level = heldOut[metric.name] ?? null;
  const series = [
    { title: "live", color: "accent", values: live },
    { title: "held-out", color: "muted", dash: DASH, values: x.map(() => level) },
  ];
  if (metric.name === "accuracy") series.push(tolerated(cohorts, evidence, (bar) => 1 - bar));
  const format = (value) => metricValue(metric.name, value);
  return html`<${Card}
      title=${`${metric.title[0].toUpperCase()}${metric.title.slice(1)} of version ${version}`}
      id="over-time"
      aside=${answer.lookedAt &&
      html`<span class="muted">checked <${Ago} at=${answer.lookedAt} /></span>`}
    >
      <p class="muted">
        ${`Each point is a cohort: all predictions of one interval, as far as they are labelled. ${metric.higherIsBetter ? "Higher" : "Lower"} is better.`}
      </p>
      <${Chart} title=${metric.title} x=${x} end=${end} series=${series} format=${format} xFormat=${whenOf} />
      <${More} pages=${pages} />
    <//>
    ${metric.name !== "accuracy" && html`<${ErrorRates} cohorts=${cohorts} evidence=${evidence} x=${x} />`}`;
}

function ErrorRates({ cohorts, evidence, x }) {
  const series = [
    { title: "wrong predictions", color: "accent", values: cohorts.map((cohort) => cohort.errorRate) },
    tolerated(cohorts, evidence, (bar) => bar),
  ];
  return html`<${Card} title="Share of wrong predictions" id="error-rates">
    <p class="muted">
      A prediction counts as wrong if its error is larger than the settings tolerate. The test for
      drift compares this share with the tolerated one.
    </p>
    <${Chart} title="Share of wrong predictions" x=${x} end=${endOf(cohorts)} series=${series} format=${percent} xFormat=${whenOf} />
  <//>`;
}

function tolerated(cohorts, evidence, shown) {
  const bar = (cohort) => cohort.bar ?? evidence?.bar ?? null;
  const values = cohorts.map((cohort) => (bar(cohort) === null ? null : shown(bar(cohort))));
  return { title: "tolerated", color: "bad", dash: DASH, values };
}

function endOf(cohorts) {
  return new Date(cohorts.at(-1).end) / 1000;
}

function whenOf(seconds) {
  return dateTime(seconds * 1000);
}

function Evidence({ answer, cohorts }) {
  const { evidence, parts, changes, alarm, version } = answer;
  if (!evidence) return null;
  const judged = cohorts.filter((cohort) => cohort.log10 !== null);
  const limit = Math.log10(evidence.threshold);
  const series = [
    { title: "evidence of drift", color: "accent", values: judged.map((cohort) => cohort.log10) },
    { title: "alarm", color: "bad", dash: DASH, values: judged.map(() => limit) },
  ];
  return html`<${Card} title="Evidence of drift" id="evidence">
      <p>${evidence.sentence}</p>
      <${Facts}
        of=${[
          ["Evidence", evidenceText(evidence.log10)],
          ["Alarm from", number(evidence.threshold)],
          ["Error rate", percent(evidence.errorRate)],
          ["Tolerated", percent(evidence.bar)],
          ["On held-out rows", percent(evidence.baselineError)],
          evidence.since && ["Change since", dateTime(evidence.since)],
        ].filter(Boolean)}
      />
      ${evidence.heldBack && html`<p class="warn-text">${evidence.heldBack}</p>`}
      ${alarm &&
      html`<p class=${alarm.takenBackAt || alarm.version !== version ? "muted" : "bad-text"}>
        ${alarm.version !== version && `About version ${alarm.version}, not the live one: `}
        ${alarm.takenBackAt
          ? html`An alarm was raised <${Ago} at=${alarm.raisedAt} /> and taken back <${Ago} at=${alarm.takenBackAt} />: ${alarm.sentence}`
          : html`Alarm raised <${Ago} at=${alarm.raisedAt} />.`}
      </p>`}
      ${judged.length > 1 &&
      html`<${Chart}
        title="Evidence of drift"
        x=${judged.map((cohort) => new Date(cohort.start) / 1000)}
        end=${endOf(judged)}
        series=${series}
        format=${evidenceText}
        xFormat=${whenOf}
        steps=${[1, 2, 5, 10, 20, 50, 100]}
      />`}
    <//>
    ${parts.length > 0 && html`<${Parts} parts=${parts} />`}
    ${changes.length > 0 && html`<${Changes} changes=${changes} />`}`;
}

function Parts({ parts }) {
  const hasSeasons = parts.some((part) => part.seasonSeconds || part.withinSeconds);
  return html`<${Card} title="What the evidence consists of" id="parts">
    <${Scroll} label="What the evidence consists of">
      <table>
        <thead>
          <tr>
            <th scope="col">part</th>
            ${hasSeasons && html`<th scope="col">judged over</th>`}
            <th scope="col" class="num">contribution</th>
            <th scope="col" class="num">errors</th>
            <th scope="col" class="num">error rate</th>
            <th scope="col" class="num">tolerated</th>
            <th scope="col" class="num">held-out</th>
          </tr>
        </thead>
        <tbody>
          ${parts.map(
            (part) => html`<tr key=${`${part.className ?? ""}|${part.seasonSeconds}`}>
              <th scope="row">${part.className === null ? "The whole model" : `Class ${part.className}`}</th>
              ${hasSeasons && html`<td>${span(part)}</td>`}
              <td class="num">${evidenceText(part.log10)}</td>
              <td class="num">${part.errors} of ${part.counted}</td>
              <td class="num">${percent(part.errorRate)}</td>
              <td class="num">${percent(part.bar)}</td>
              <td class="num">${percent(part.baselineError)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    <//>
    <p class="muted">
      ${
        hasSeasons
          ? "The contributions over one span add up. The evidence is that of the strongest span."
          : "The contributions add up to the evidence."
      }
    </p>
  <//>`;
}

function Changes({ changes }) {
  return html`<${Card} title="What changed the evidence" id="changes">
    <ul class="rows">
      ${changes.map(
        (change) => html`<li key=${change.start} class="row-change">
          <span>${change.text}</span>
          <span class="muted">
            from ${evidenceText(change.before)} to ${evidenceText(change.after)}
          </span>
        </li>`,
      )}
    </ul>
  <//>`;
}

