// Labels: how many predictions have one, how late they are, and what became of them.
import { pathOf } from "../lib/api.js";
import { count, duration, percent } from "../lib/format.js";
import { html } from "../lib/view.js";
import { Ago, Card, Empty, Facts } from "../parts/basics.js";

const OUTCOMES = [
  ["new", "Accepted at once", "The first label of a prediction that was known. Labels that were held first are not in this number."],
  ["repeat", "Repeated", "The same label again. It changes nothing."],
  ["corrected", "Corrected", "Another label for the same prediction. It replaces the first one."],
  ["held", "Held now", "Its prediction has not arrived yet. It is counted when it does."],
  ["expired", "Expired", "Its prediction did not arrive in time. It is in quarantine."],
  ["rejected", "Rejected", "It cannot be used. It is in quarantine with the reason."],
];

export function Labels({ answer }) {
  const { loop, champion, model } = answer;
  if (!champion || !loop) {
    return html`<${Empty} title="There are no labels yet">
      <p>Labels tell what really happened to a prediction. They begin with the first live version.</p>
    <//>`;
  }
  const { labels, quality } = loop;
  return html`<${Card} title="How well predictions are labelled" id="coverage">
      <${Facts}
        of=${[
          ["Labelled", percent(quality?.coverage, 0)],
          ["Predictions", (quality?.predictions ?? 0).toLocaleString("en")],
          ["With a label", (quality?.labelled ?? 0).toLocaleString("en")],
          ["Average delay", duration(quality?.labelDelaySeconds)],
          ["Last label", labels.lastLabelAt ? html`<${Ago} at=${labels.lastLabelAt} />` : "none"],
        ]}
      />
      <div class="meter" role="img" aria-label=${`${percent(quality?.coverage, 0)} of the predictions are labelled`}>
        <div style=${{ width: `${(quality?.coverage ?? 0) * 100}%` }}></div>
      </div>
      <p class="muted">
        Version ${champion.version}, live since <${Ago} at=${champion.promotedAt} />${quality ? `: predictions of ${count(quality.cohorts, "cohort")}` : ""}.
        ${" Send labels with "}<code>POST /${pathOf("models", model, "ground-truth")}</code>${" or "}
        <code>refit label ${model} FILE</code>.
      </p>
    <//>
    <${Card} title="What became of all labels" id="outcomes">
      <ul class="tiles">
        ${OUTCOMES.map(
          ([name, title, text]) => html`<li key=${name}>
            <span class="big">${labels[name].toLocaleString("en")}</span>
            <b>${title}</b>
            <span class="muted">${text}</span>
          </li>`,
        )}
      </ul>
    <//>`;
}
